// The page's controls.

import * as local from "./local.js";
import type { Prediction } from "./prediction.js";
import { Results } from "./results.js";
import * as server from "./server.js";
import { Webcam } from "./webcam.js";

/** Pictures asked about at the same time. */
const TOGETHER = 4;

function find<T extends HTMLElement>(id: string): T {
  return document.getElementById(id) as T;
}

const least = find<HTMLInputElement>("least");
const camera = find<HTMLButtonElement>("camera");
const inBrowser = find<HTMLInputElement>("in-browser");
const drop = find("drop");

function say(text: string, failure = false): void {
  const status = find("status");
  status.textContent = text;
  status.className = failure ? "failure" : "";
}

function leastProbability(): number {
  const value = least.valueAsNumber;
  return Number.isFinite(value) ? Math.min(Math.max(value, 0), 100) / 100 : 0;
}

function text(reason: unknown): string {
  return reason instanceof Error ? reason.message : String(reason);
}

/** Asks whoever was chosen; a missing token is asked for. */
async function predict(name: string, picture: Blob): Promise<Prediction> {
  try {
    return await (inBrowser.checked ? local : server).predict(name, picture);
  } catch (reason) {
    if (reason instanceof server.Unauthorised) find("access").hidden = false;
    throw reason;
  }
}

const results = new Results(find("pictures"), find("table"), leastProbability(), (some) => {
  find("actions").hidden = !some;
  find("none").hidden = some;
});

async function look(files: File[]): Promise<void> {
  if (files.length === 0) return;
  const waiting = files.map((file) => ({ file, shown: results.add(file.name, file) }));
  const asked = waiting.length;
  let done = 0;
  let failed = 0;
  const ask = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      try {
        await next.shown.seen(await predict(next.file.name, next.file));
      } catch (reason) {
        failed += 1;
        next.shown.failed(text(reason));
      }
      done += 1;
      say(`${done} of ${asked} ${asked === 1 ? "picture" : "pictures"} looked at`);
    }
  };
  say(inBrowser.checked ? "Loading the model into this browser, then looking" : "Looking");
  await Promise.all(Array.from({ length: TOGETHER }, ask));
  if (failed > 0) say(`${failed} of ${asked} pictures could not be looked at; each says why`, true);
}

// A browser is slower than the server.
const longest = () => (inBrowser.checked ? 320 : 640);
const webcam = new Webcam(find<HTMLVideoElement>("video"), predict, longest, leastProbability, (rate) => {
  find("speed").textContent = `${rate.toFixed(1)} pictures a second`;
});

async function watch(): Promise<void> {
  try {
    await webcam.start();
    find("live").hidden = false;
    camera.textContent = "Stop the webcam";
    camera.setAttribute("aria-pressed", "true");
    say("The webcam is on");
    await webcam.look();
  } catch (reason) {
    say(`The webcam stopped: ${text(reason)}`, true);
    unwatch();
  }
}

function unwatch(): void {
  webcam.stop();
  find("live").hidden = true;
  camera.textContent = "Start the webcam";
  camera.setAttribute("aria-pressed", "false");
  camera.focus();
}

function download(name: string, file: Blob): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(file);
  link.download = name;
  link.click();
  URL.revokeObjectURL(link.href);
}

/** Says what answers, and whether this browser can. */
async function describe(): Promise<void> {
  const info = (await server.get("v1/info")) as { model: { name: string }; browser: boolean };
  find("model").textContent = `Facial expressions in pictures; model: ${info.model.name}`;
  inBrowser.disabled = !info.browser;
  if (inBrowser.disabled) {
    find("where-note").textContent = "A browser can only run the model that comes with emoxide, with its own settings; this server uses others.";
  }
}

find<HTMLInputElement>("files").addEventListener("change", (event) => {
  const input = event.target as HTMLInputElement;
  const files = Array.from(input.files ?? []);
  input.value = "";
  void look(files);
});
for (const kind of ["dragenter", "dragover"]) {
  drop.addEventListener(kind, (event) => {
    event.preventDefault();
    drop.classList.add("over");
  });
}
for (const kind of ["dragleave", "drop"]) drop.addEventListener(kind, () => drop.classList.remove("over"));
drop.addEventListener("drop", (event) => {
  event.preventDefault();
  void look(Array.from(event.dataTransfer?.files ?? []));
});
document.addEventListener("paste", (event) => {
  void look(Array.from(event.clipboardData?.files ?? []).filter((file) => file.type.startsWith("image/")));
});
camera.addEventListener("click", () => (webcam.running ? unwatch() : void watch()));
find("stop").addEventListener("click", unwatch);
find("keep").addEventListener("click", () => {
  const kept = webcam.kept;
  if (kept === null) return;
  const name = `webcam-${new Date().toISOString().replaceAll(":", "-").slice(0, 19)}.jpg`;
  void results.add(name, kept.picture).seen({ ...kept.seen.prediction, input: name });
  say(`${name} is among the results`);
});
least.addEventListener("input", () => results.setLeast(leastProbability()));
find("csv").addEventListener("click", () => download("emoxide.csv", results.csv()));
find("json").addEventListener("click", () => download("emoxide.json", results.json()));
find("clear").addEventListener("click", () => {
  results.clear();
  say("");
  find("files").focus();
});
find("access").addEventListener("submit", (event) => {
  event.preventDefault();
  server.useToken(find<HTMLInputElement>("token").value);
  find("access").hidden = true;
  say("The token is kept until this page is closed");
  void describe().catch(refused);
});

function refused(reason: unknown): void {
  if (reason instanceof server.Unauthorised) {
    find("access").hidden = false;
    say("This server wants a token");
  } else {
    say(`The server does not answer: ${text(reason)}`, true);
  }
}

void describe().catch(refused);
