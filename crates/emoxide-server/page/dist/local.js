// Pictures looked at by this browser, in a thread of its own.
/** The recogniser in its thread. */
class Local {
    worker = new Worker(new URL("worker.js", import.meta.url), { type: "module" });
    waiting = new Map();
    asked = 0;
    constructor() {
        this.worker.onmessage = ({ data }) => {
            const waiting = this.waiting.get(data.id);
            this.waiting.delete(data.id);
            if (data.error === undefined)
                waiting?.resolve(data.prediction ?? null);
            else
                waiting?.reject(new Error(data.error));
        };
        this.worker.onerror = (event) => {
            const reason = new Error(`the recogniser in this browser stopped: ${event.message || "it could not be loaded"}`);
            for (const waiting of this.waiting.values())
                waiting.reject(reason);
            this.waiting.clear();
            this.worker.terminate();
            local = null;
        };
    }
    ask(question, given) {
        const id = (this.asked += 1);
        return new Promise((resolve, reject) => {
            this.waiting.set(id, { resolve, reject });
            this.worker.postMessage({ id, ...question }, given);
        });
    }
}
let local = null;
async function open() {
    const parts = ["detector.safetensors", "model.safetensors"].map(async (path) => {
        const response = await fetch(path);
        if (!response.ok)
            throw new Error(`${path}: the server answered ${response.status}`);
        return response.arrayBuffer();
    });
    const [detector, model] = (await Promise.all(parts));
    const opened = new Local();
    await opened.ask({ kind: "open", detector, model }, [detector, model]);
    return opened;
}
/** Loads the recogniser, once; a failure can be tried again. */
export function load() {
    local ??= open().catch((reason) => {
        local = null;
        throw reason;
    });
    return local;
}
export async function predict(name, picture) {
    const [recogniser, file] = await Promise.all([load(), picture.arrayBuffer()]);
    const prediction = await recogniser.ask({ kind: "predict", name, file }, [file]);
    if (prediction === null)
        throw new Error("the recogniser in this browser gave no answer");
    return prediction;
}
