// The page of `emoxide serve` in a real browser: photographs looked at by the server and by the browser itself, the webcam,
// a run by keyboard alone, and pictures of the page.
//
//   npm install playwright-core          (once, anywhere; NODE_PATH or the working folder tells Node where)
//   node tools/page/browser.mjs http://127.0.0.1:5005 OUT PHOTO...
//
// CHROMIUM names the browser (default /usr/bin/chromium), WEBCAM a .y4m or .mjpeg file that it takes for its webcam.
// OUT receives browser.json and server.json (what each says of the photographs) and the pictures. Ends with 1 where
// something is not as it should be.

import { createRequire } from "node:module";
import { mkdtempSync, readFileSync, writeFileSync, mkdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const { chromium } = createRequire(join(process.cwd(), "x.js"))("playwright-core");
const [address, out, ...photos] = process.argv.slice(2);
mkdirSync(out, { recursive: true });

const quiet = "--disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update --disable-sync";
const webcam = process.env.WEBCAM ? [`--use-file-for-fake-video-capture=${process.env.WEBCAM}`] : [];
const browser = await chromium.launchPersistentContext(mkdtempSync(join(tmpdir(), "browser-")), {
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: [...quiet.split(" "), "--no-sandbox", "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream", ...webcam],
  acceptDownloads: true,
});

function check(holds, what) {
  if (!holds) throw new Error(what);
  console.log(`ok    ${what}`);
}

async function open(options = {}) {
  const page = await browser.newPage();
  page.on("pageerror", (error) => console.log(`page  ${error.message}`));
  page.on("console", (message) => message.type() === "error" && console.log(`page  ${message.text()}`));
  await page.setViewportSize(options.size ?? { width: 1440, height: 900 });
  await page.emulateMedia({ colorScheme: options.scheme ?? "light" });
  await page.goto(address);
  await page.waitForFunction(() => document.getElementById("model").textContent.includes("model:"));
  return page;
}

const looked = (page, count) =>
  page.waitForFunction(
    (count) => document.getElementById("status").textContent.startsWith(`${count} of ${count}`),
    count,
    { timeout: 600_000 },
  );

async function download(page, button) {
  const [file] = await Promise.all([page.waitForEvent("download"), page.click(button)]);
  return readFileSync(await file.path(), "utf8");
}

/** What is said of the photographs; and the requests that carried anything to the server. */
async function ask(where) {
  const page = await open();
  const sent = [];
  page.on("request", (request) => request.method() !== "GET" && sent.push(request.url()));
  if (where === "browser") await page.check("#in-browser");
  const start = Date.now();
  await page.setInputFiles("#files", photos);
  await looked(page, photos.length);
  const seconds = (Date.now() - start) / 1000;
  const json = await download(page, "#json");
  writeFileSync(join(out, `${where}.json`), json);
  const csv = await download(page, "#csv");
  const rows = JSON.parse(json).reduce((sum, one) => sum + Math.max(one.faces.length, 1), 0);
  check(csv.trim().split("\n").length === rows + 1, `${where}: a row of CSV for each of ${rows} faces or faceless pictures`);
  await page.close();
  return { predictions: JSON.parse(json), sent, seconds };
}

const server = await ask("server");
const local = await ask("browser");
check(local.sent.length === 0, "the browser looks at pictures without sending anything");
let largest = 0;
for (const [index, one] of server.predictions.entries()) {
  const other = local.predictions[index];
  check(one.input === other.input && one.faces.length === other.faces.length, `${one.input}: ${one.faces.length} faces`);
  for (const [number, face] of one.faces.entries()) {
    for (const [name, value] of Object.entries(face.probabilities)) {
      largest = Math.max(largest, Math.abs(value - other.faces[number].probabilities[name]));
    }
  }
}
console.log(`largest difference of a probability, server and browser: ${largest.toExponential(2)}`);
console.log(`${photos.length} pictures: server ${server.seconds.toFixed(2)} s, browser ${local.seconds.toFixed(2)} s`);
check(largest <= 1e-3, "server and browser agree");

for (const width of [360, 768, 1440]) {
  for (const scheme of ["light", "dark"]) {
    const page = await open({ size: { width, height: 900 }, scheme });
    await page.setInputFiles("#files", photos.slice(0, 2));
    await looked(page, Math.min(2, photos.length));
    const wide = await page.evaluate(() => document.documentElement.scrollWidth);
    check(wide <= width, `${width} px, ${scheme}: nothing is wider than the window`);
    await page.screenshot({ path: join(out, `page-${width}-${scheme}.png`), fullPage: true });
    await page.close();
  }
}

{
  const page = await open();
  await page.click("#camera");
  await page.waitForSelector("#live .stage svg", { timeout: 60_000 });
  await page.waitForTimeout(1500);
  await page.click("#keep");
  await page.waitForSelector("#pictures figure");
  await page.screenshot({ path: join(out, "webcam.png"), fullPage: true });
  await page.click("#stop");
  check(await page.isHidden("#live"), "the webcam stops");
  await page.close();
}

{
  // Keys alone: what has the focus is found by Tab, never by the pointer.
  const page = await open();
  const names = [];
  const tab = async (id) => {
    for (let pressed = 0; pressed < 40; pressed += 1) {
      await page.keyboard.press("Tab");
      const name = await page.evaluate(() => document.activeElement.id || document.activeElement.className);
      names.push(name);
      if (name === id) return;
    }
    throw new Error(`Tab never reaches ${id}: ${names.join(" ")}`);
  };
  await tab("skip");
  const [chooser] = await Promise.all([page.waitForEvent("filechooser"), tab("files").then(() => page.keyboard.press("Enter"))]);
  await page.screenshot({ path: join(out, "keyboard-1-choose.png") });
  await chooser.setFiles(photos[0]);
  await looked(page, 1);
  await tab("camera");
  await page.keyboard.press("Space");
  await page.waitForSelector("#live .stage svg", { timeout: 60_000 });
  await tab("keep");
  await page.keyboard.press("Enter");
  await page.screenshot({ path: join(out, "keyboard-2-webcam.png"), fullPage: true });
  await tab("stop");
  await page.keyboard.press("Enter");
  check(await page.isHidden("#live"), "keys: the webcam was started, a picture kept, the webcam stopped");
  await tab("csv");
  const [file] = await Promise.all([page.waitForEvent("download"), page.keyboard.press("Enter")]);
  check((await file.suggestedFilename()) === "emoxide.csv", "keys: the table is downloaded");
  await page.screenshot({ path: join(out, "keyboard-3-results.png"), fullPage: true });
  await tab("clear");
  await page.keyboard.press("Enter");
  check((await page.locator("#pictures figure").count()) === 0, "keys: the results are cleared");
  console.log(`focus by Tab: ${names.join(" → ")}`);
  await page.close();
}
await browser.close();
