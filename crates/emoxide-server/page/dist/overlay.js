// Boxes and bars over a picture.
import { percent, top, verdict } from "./prediction.js";
const SVG = "http://www.w3.org/2000/svg";
/** Sizes on the screen, in CSS pixels. */
const LINE = 16;
const TEXT = 12;
const PLATE = 168;
const NAME = 70;
const BAR = 48;
/** Rows of a plate where there is little room. */
const FEW = 3;
function element(name, attributes, text) {
    const made = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes))
        made.setAttribute(key, String(value));
    if (text !== undefined)
        made.textContent = text;
    return made;
}
/** Draws the faces over `stage`, whose picture is shown `shown` CSS pixels wide. */
export function draw(stage, { prediction, width, height }, shown, least) {
    stage.querySelector("svg")?.remove();
    if (shown === 0 || width === 0)
        return;
    const svg = element("svg", { viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" });
    const unit = width / shown;
    const boxes = prediction.faces.map((face) => face.box);
    for (const { x, y, width, height } of boxes) {
        for (const [name, stroke] of [["box-edge", 4], ["box", 2]]) {
            svg.append(element("rect", { class: name, x, y, width, height, "stroke-width": stroke * unit }));
        }
    }
    const rows = shown < 480 || prediction.faces.length > 4 ? FEW : Infinity;
    for (const face of prediction.faces)
        svg.append(plate(face, width, height, unit, rows, least));
    stage.append(svg);
}
/** The bars of a face, most probable first, where they cover the face least. */
function plate(face, width, height, unit, rows, least) {
    const ordered = Object.entries(face.probabilities).sort((a, b) => b[1] - a[1]);
    const shown = ordered.slice(0, rows);
    const size = { width: PLATE * unit, height: (shown.length + 1.4) * LINE * unit };
    const { x, y } = place(face, size, width, height, 4 * unit);
    const group = element("g", { transform: `translate(${x} ${y}) scale(${unit})` });
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
/** Right of the box, left of it, below it or above it, if it fits there; else at the picture's edge. */
function place(face, size, width, height, gap) {
    const { x, y, width: wide, height: high } = face.box;
    const fit = (value, most) => Math.max(0, Math.min(value, most));
    const across = fit(x, width - size.width);
    const down = fit(y, height - size.height);
    if (x + wide + gap + size.width <= width)
        return { x: x + wide + gap, y: down };
    if (x - gap - size.width >= 0)
        return { x: x - gap - size.width, y: down };
    if (y + high + gap + size.height <= height)
        return { x: across, y: y + high + gap };
    if (y - gap - size.height >= 0)
        return { x: across, y: y - gap - size.height };
    return { x: fit(x + wide + gap, width - size.width), y: fit(y + high, height - size.height) };
}
