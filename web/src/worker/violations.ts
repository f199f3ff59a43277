/** Whether the worker's own policy (connect-src) kept it from an address: what is refused says nothing about the cause. */

/** A report follows what failed in a task of its own. */
const REPORT_MILLISECONDS = 50;

export interface Violations {
  /** Whether this origin was blocked since the watch began. */
  seen(origin: string): Promise<boolean>;
  stop(): void;
}

/** Watches until `stop`. */
export function watchViolations(): Violations {
  const blocked = new Set<string>();
  const listener = (event: Event): void => {
    const uri = (event as SecurityPolicyViolationEvent).blockedURI;
    if (URL.canParse(uri)) blocked.add(new URL(uri).origin);
  };
  self.addEventListener("securitypolicyviolation", listener);
  return {
    seen: async (wanted) => {
      await new Promise((resolve) => setTimeout(resolve, REPORT_MILLISECONDS));
      return blocked.has(wanted);
    },
    stop: () => self.removeEventListener("securitypolicyviolation", listener),
  };
}
