// Boxes and bars over a picture.

import { percent, top, verdict, type Box, type Face, type Seen } from "./prediction.js";

interface Size {
  width: number;
  height: number;
}

const SVG = "http://www.w3.org/2000/svg";
/** Sizes on the screen, in CSS pixels. */
const LINE = 16;
const TEXT = 12;
const PLATE = 182;
const NAME = 70;
const BAR = 48;
/** Rows of a plate where there is little room. */
const FEW = 3;

function element(name: string, attributes: Record<string, string | number>, text?: string): SVGElement {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value));
  if (text !== undefined) made.textContent = text;
  return made;
}

/** Draws the faces over `stage`, whose picture is shown `shown` CSS pixels wide. */
export function draw(stage: HTMLElement, { prediction, width, height }: Seen, shown: number, least: number): void {
  stage.querySelector("svg")?.remove();
  if (shown === 0 || width === 0) return;
  const svg = element("svg", { viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" });
  const unit = width / shown;
  const boxes = prediction.faces.map((face) => face.box);
  for (const { x, y, width, height } of boxes) {
    for (const [name, stroke] of [["box-edge", 4], ["box", 2]] as const) {
      svg.append(element("rect", { class: name, x, y, width, height, "stroke-width": stroke * unit }));
    }
  }
  const rows = shown < 480 || boxes.length > 1 ? FEW : Infinity;
  const taken = [...boxes];
  for (const face of prediction.faces) {
    const lines = Math.min(rows, Object.keys(face.probabilities).length) + 1.4;
    const size = { width: PLATE * unit, height: lines * LINE * unit };
    const where = place(face.box, size, { width, height }, 4 * unit, taken);
    taken.push(where);
    svg.append(plate(face, where, unit, rows, least));
  }
  stage.append(svg);
}

/** The bars of a face, most probable first. */
function plate(face: Face, where: Box, unit: number, rows: number, least: number): SVGElement {
  const shown = Object.entries(face.probabilities).sort((a, b) => b[1] - a[1]).slice(0, rows);
  const group = element("g", { transform: `translate(${where.x} ${where.y}) scale(${unit})` });
  group.append(element("rect", { class: "plate", width: PLATE, height: (shown.length + 1.4) * LINE, rx: 5 }));
  const heading = `${face.face_id}: ${verdict(face, least)}`;
  group.append(element("text", { class: "plate-text", x: 8, y: LINE, "font-size": TEXT + 1, "font-weight": 600 }, heading));
  const first = top(face)[0];
  shown.forEach(([name, probability], row) => {
    const base = (row + 2.1) * LINE;
    group.append(element("text", { class: "plate-text", x: 8, y: base, "font-size": TEXT }, name));
    const bar = { x: 8 + NAME, y: base - 9, height: 9, width: Math.max(probability * BAR, 0.5) };
    group.append(element("rect", { class: name === first ? "plate-bar top" : "plate-bar", ...bar }));
    const share = { class: "plate-text", x: PLATE - 6, y: base, "font-size": TEXT - 1, "text-anchor": "end" };
    group.append(element("text", share, percent(probability)));
  });
  return group;
}

/** What two boxes have in common, in square pixels. */
function common(one: Box, other: Box): number {
  const across = Math.min(one.x + one.width, other.x + other.width) - Math.max(one.x, other.x);
  const down = Math.min(one.y + one.height, other.y + other.height) - Math.max(one.y, other.y);
  return Math.max(across, 0) * Math.max(down, 0);
}

/** Right of the box, left of it, below it or above it, within the picture, where it covers least of what is there. */
function place(box: Box, size: Size, picture: Size, gap: number, taken: Box[]): Box {
  const fit = (value: number, most: number) => Math.max(0, Math.min(value, most));
  const at = (x: number, y: number): Box => {
    return { x: fit(x, picture.width - size.width), y: fit(y, picture.height - size.height), ...size };
  };
  const places = [
    at(box.x + box.width + gap, box.y),
    at(box.x - gap - size.width, box.y),
    at(box.x, box.y + box.height + gap),
    at(box.x, box.y - gap - size.height),
  ];
  const covered = (one: Box) => taken.reduce((sum, other) => sum + common(one, other), 0);
  return places.reduce((best, next) => (covered(next) < covered(best) ? next : best));
}
