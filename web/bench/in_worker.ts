/** Asks ours, which runs and takes its times in a worker, where it lives. */
import type { Times, What } from "./scenario.js";

/** One round of what `what` names, in the worker of this address; the worker starts with the first. */
export const inWorker = (url: string): ((what: What) => Promise<Times>) => {
  let worker: Worker | undefined;
  let last = 0;
  return (what) => {
    worker ??= new Worker(url, { type: "module" });
    const running = worker;
    last += 1;
    const id = last;
    return new Promise((resolve, reject) => {
      running.onmessage = ({ data }: MessageEvent<{ id: number; times?: Times; error?: string }>) => {
        if (data.times !== undefined) resolve(data.times);
        else reject(new Error(data.error));
      };
      running.onerror = (event) => reject(new Error(`worker: ${event.message}`));
      running.postMessage({ id, what });
    });
  };
};
