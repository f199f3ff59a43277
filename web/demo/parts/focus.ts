// Where the keyboard is after a button has done its work: on it, or beside where it was, and never at the page's top again.

const CONTROLS = "button:enabled:not([data-remove]), summary, input:enabled"; // a second Enter must remove nobody

/** To be asked before a button is disabled; what it gives puts the focus back, where the person has not moved on. */
export function focusKept(button: HTMLButtonElement | null): () => void {
  if (button === null || document.activeElement !== button) return () => undefined;
  const around = button.closest<HTMLElement>(".pictures, .step, section");
  return () => {
    if (document.activeElement !== null && document.activeElement !== document.body && document.activeElement !== button) return;
    const next = isShown(button) ? button : beside(button, around);
    next?.focus();
  };
}

function beside(button: HTMLElement, around: HTMLElement | null): HTMLElement | null {
  const box = around !== null && isShown(around) ? around : document.querySelector<HTMLElement>("main");
  const shown = [...(box?.querySelectorAll<HTMLElement>(CONTROLS) ?? [])].filter(isShown);
  return shown.find((one) => (button.compareDocumentPosition(one) & Node.DOCUMENT_POSITION_FOLLOWING) !== 0) ?? shown[0] ?? null;
}

const isShown = (element: HTMLElement): boolean => element.checkVisibility();
