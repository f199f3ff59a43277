// The lines between people and services. A line lights up when something travels along it.

const SVG = "http://www.w3.org/2000/svg";
const LIT_MS = 1400; // long enough to follow with the eye, short enough that two steps do not blur

export class Lines {
  readonly #svg: SVGSVGElement;
  readonly #lines = new Map<string, { from: Element; to: Element; rest: SVGPathElement; pulse: SVGPathElement; timer: number }>();

  constructor(svg: SVGSVGElement) {
    this.#svg = svg;
    new ResizeObserver(() => this.draw()).observe(svg);
  }

  add(key: string, from: Element, to: Element, look: string): void {
    const rest = document.createElementNS(SVG, "path");
    const pulse = document.createElementNS(SVG, "path");
    rest.setAttribute("class", `rest ${look}`);
    pulse.setAttribute("class", `pulse ${look}`);
    pulse.setAttribute("pathLength", "100");
    this.#svg.append(rest, pulse);
    this.#lines.set(key, { from, to, rest, pulse, timer: 0 });
  }

  /** Lays every line from the lower edge of `from` to the upper edge of `to`. */
  draw(): void {
    const area = this.#svg.getBoundingClientRect();
    if (area.width === 0) return;
    this.#svg.setAttribute("viewBox", `0 0 ${area.width} ${area.height}`);
    for (const { from, to, rest, pulse } of this.#lines.values()) {
      const a = from.getBoundingClientRect();
      const b = to.getBoundingClientRect();
      const toX = b.left + b.width / 2 - area.left;
      const centre = a.left + a.width / 2 - area.left;
      const fromX = centre + Math.max(-0.36, Math.min(0.36, (toX - centre) / area.width)) * a.width;
      const fromY = a.bottom - area.top;
      const toY = b.top - area.top;
      const bend = (toY - fromY) * 0.55;
      const path = `M${fromX} ${fromY}C${fromX} ${fromY + bend} ${toX} ${toY - bend} ${toX} ${toY}`;
      rest.setAttribute("d", path);
      pulse.setAttribute("d", path);
    }
  }

  light(key: string, towardsService: boolean): void {
    const line = this.#lines.get(key);
    if (line === undefined) return;
    line.rest.classList.add("lit");
    clearTimeout(line.timer);
    line.timer = window.setTimeout(() => line.rest.classList.remove("lit"), LIT_MS);
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) return;
    // The dash is 10 of 100 long; outside 0..100 it cannot be seen.
    const [start, end] = towardsService ? [-100, 10] : [10, -100];
    const run = [{ strokeDashoffset: start, opacity: 1 }, { strokeDashoffset: end, opacity: 1 }];
    line.pulse.animate(run, { duration: LIT_MS * 0.7, easing: "ease-in-out" });
  }
}
