// The thread in which the recogniser, compiled to WebAssembly, runs.
import init, { Analyser } from "./emoxide_web.js";
let analyser = null;
async function answer(question) {
    if (question.kind === "open") {
        await init({ module_or_path: new URL("emoxide_web_bg.wasm", import.meta.url) });
        analyser = new Analyser(new Uint8Array(question.detector), new Uint8Array(question.model));
        return undefined;
    }
    if (analyser === null)
        throw new Error("no model is open");
    return JSON.parse(analyser.predict(question.name, new Uint8Array(question.file)));
}
self.onmessage = async ({ data }) => {
    let message;
    try {
        const prediction = await answer(data);
        message = prediction === undefined ? { id: data.id } : { id: data.id, prediction };
    }
    catch (reason) {
        // A trap leaves the module in no state to go on.
        if (reason instanceof WebAssembly.RuntimeError)
            throw reason;
        message = { id: data.id, error: reason instanceof Error ? reason.message : String(reason) };
    }
    self.postMessage(message);
};
