// What the committed WebAssembly says of pictures: node agree.mjs DIST DETECTOR MODEL PICTURE..., a line of JSON each.

import { readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { gunzipSync } from "node:zlib";

const [dist, detector, model, ...pictures] = process.argv.slice(2);
const glue = readFileSync(join(dist, "emoxide_web.js"), "utf8");
const { default: init, Analyser } = await import(`data:text/javascript,${encodeURIComponent(glue)}`);
await init({ module_or_path: gunzipSync(readFileSync(join(dist, "emoxide_web_bg.wasm.gz"))) });
const analyser = new Analyser(readFileSync(detector), readFileSync(model));
for (const picture of pictures) console.log(analyser.predict(basename(picture), readFileSync(picture)));
