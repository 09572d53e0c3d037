// What was seen: pictures with their faces, the table, the files to download.

import { draw } from "./overlay.js";
import { percent, top, verdict, type Face, type Seen } from "./prediction.js";

/** A picture that was asked about. */
interface Entry {
  figure: HTMLElement;
  seen: Seen | null;
  /** Draws what depends on the size on the screen and on the least probability. */
  redraw: () => void;
}

function element<K extends keyof HTMLElementTagNameMap>(name: K, text = "", kind = ""): HTMLElementTagNameMap[K] {
  const made = document.createElement(name);
  made.textContent = text;
  if (kind) made.className = kind;
  return made;
}

export class Results {
  private readonly entries: Entry[] = [];
  private urls: string[] = [];

  constructor(
    private readonly pictures: HTMLElement,
    private readonly table: HTMLElement,
    private least: number,
    /** Told whether there is anything to show, and whether there is a face or picture to download. */
    private readonly changed: (some: boolean) => void,
  ) {}

  setLeast(least: number): void {
    this.least = least;
    this.redraw();
  }

  clear(): void {
    this.urls.forEach((url) => URL.revokeObjectURL(url));
    this.urls = [];
    this.entries.length = 0;
    this.pictures.replaceChildren();
    this.redraw();
  }

  /** Shows a picture that is being looked at; the caller goes on with what it returns. */
  add(name: string, picture: Blob): { seen: (prediction: Seen["prediction"]) => Promise<void>; failed: (why: string) => void } {
    const url = URL.createObjectURL(picture);
    this.urls.push(url);
    const figure = element("figure");
    const stage = element("div", "", "stage");
    const image = element("img");
    image.src = url;
    image.alt = name;
    const faces = element("div", "", "faces");
    const caption = element("figcaption", `${name}: waiting`);
    figure.append(caption, stage, faces);
    stage.append(image);
    const entry: Entry = { figure, seen: null, redraw: () => {} };
    this.entries.push(entry);
    this.pictures.append(figure);
    this.redraw();

    const show = () => {
      if (entry.seen === null) return;
      draw(stage, entry.seen, image.clientWidth, this.least);
      faces.replaceChildren(...entry.seen.prediction.faces.map((face) => card(face, this.least)));
    };
    new ResizeObserver(show).observe(image);
    return {
      seen: async (prediction) => {
        await image.decode().catch(() => {});
        // Nought where this browser cannot show the picture, such as TIFF.
        entry.seen = { prediction, width: image.naturalWidth, height: image.naturalHeight };
        entry.redraw = show;
        const count = prediction.faces.length;
        caption.textContent = `${name}: ${count === 0 ? "no face found" : count === 1 ? "1 face" : `${count} faces`}`;
        this.redraw();
      },
      failed: (why) => {
        caption.textContent = `${name}: ${why}`;
        caption.className = "failure";
        stage.remove();
      },
    };
  }

  private seen(): Seen[] {
    return this.entries.flatMap((entry) => (entry.seen === null ? [] : [entry.seen]));
  }

  private redraw(): void {
    for (const entry of this.entries) entry.redraw();
    const seen = this.seen();
    this.changed(this.entries.length > 0);
    this.table.replaceChildren(...(seen.length > 0 ? [tabulate(rows(seen, this.least))] : []));
    this.table.hidden = seen.length === 0;
  }

  csv(): Blob {
    const cell = (text: string) => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
    const lines = rows(this.seen(), this.least).map((row) => row.map(cell).join(","));
    return new Blob([lines.join("\n"), "\n"], { type: "text/csv" });
  }

  json(): Blob {
    const told = (face: Face) => ({ ...face, dominant_emotion: verdict(face, this.least) });
    const predictions = this.seen().map(({ prediction }) => ({ ...prediction, faces: prediction.faces.map(told) }));
    return new Blob([JSON.stringify(predictions, null, 1), "\n"], { type: "application/json" });
  }
}

/** A face in words and bars. */
function card(face: Face, least: number): HTMLElement {
  const card = element("div");
  const [first, probability] = top(face);
  const said = verdict(face, least);
  const heading = said === first ? `${said}, ${percent(probability)}` : `${said} (${first}, ${percent(probability)})`;
  card.append(element("h3", `Face ${face.face_id}: ${heading}`));
  const bars = element("ul", "", "bars");
  for (const [name, probability] of Object.entries(face.probabilities)) {
    const row = element("li", "", name === first ? "top" : "");
    const track = element("span", "", "track");
    track.setAttribute("aria-hidden", "true");
    const bar = element("span");
    bar.style.width = percent(probability).replace(" ", "");
    track.append(bar);
    row.append(element("span", name), track, element("span", percent(probability), "share"));
    bars.append(row);
  }
  card.append(bars);
  return card;
}

/** The table of `emoxide predict --format csv`, its header first. */
function rows(seen: Seen[], least: number): string[][] {
  const some = seen.flatMap(({ prediction }) => prediction.faces)[0];
  const classes = some === undefined ? [] : Object.keys(some.probabilities);
  const box = ["FaceScore", "FaceRectX", "FaceRectY", "FaceRectWidth", "FaceRectHeight"];
  const points = [0, 1, 2, 3, 4].flatMap((point) => [`lm_x_${point}`, `lm_y_${point}`]);
  const header = ["input", "frame", "timestamp", "face_id", "success", ...box, "FrameWidth", "FrameHeight"];
  header.push(...classes, "dominant_emotion", "dominant_score", ...points);
  const text = (value: number | null | undefined) => (value === null || value === undefined ? "" : String(value));
  const row = ({ prediction: { input, frame }, width, height }: Seen, face: Face | undefined) => {
    const { x, y, width: wide, height: high } = face?.box ?? {};
    const landmarks = [0, 1, 2, 3, 4].flatMap((point) => face?.landmarks?.[point] ?? [null, null]);
    return [
      input,
      text(frame),
      "",
      text(face?.face_id),
      face === undefined ? "0" : "1",
      ...[face?.detection_score, x, y, wide, high, width || null, height || null].map(text),
      ...classes.map((name) => text(face?.probabilities[name])),
      face === undefined ? "" : verdict(face, least),
      face === undefined ? "" : text(top(face)[1]),
      ...landmarks.map(text),
    ];
  };
  const all = seen.flatMap((one) => {
    const { faces } = one.prediction;
    return faces.length === 0 ? [row(one, undefined)] : faces.map((face) => row(one, face));
  });
  return [header, ...all];
}

/** What of the rows is worth reading on a page. */
function tabulate([header = [], ...rows]: string[][]): HTMLTableElement {
  const first = header.indexOf("FrameHeight") + 1;
  const last = header.indexOf("dominant_score");
  const place = (name: string) => header.indexOf(name);
  const columns = [place("input"), place("face_id"), last - 1, last];
  for (let column = first; column < last - 1; column += 1) columns.push(column);
  const table = element("table");
  table.append(element("caption", "All faces"));
  const titles = table.createTHead().insertRow();
  for (const column of columns) {
    const title = element("th", header[column]?.replace("_", " "));
    title.scope = "col";
    titles.append(title);
  }
  const body = table.createTBody();
  for (const row of rows) {
    const line = body.insertRow();
    for (const column of columns) {
      const value = row[column] ?? "";
      const probability = column >= first && column !== last - 1 && value !== "";
      line.insertCell().textContent = probability ? percent(Number(value)) : value;
    }
  }
  return table;
}
