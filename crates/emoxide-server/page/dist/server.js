// Pictures looked at by the server.
/** The server wants a token, or another one. */
export class Unauthorised extends Error {
}
/** How often a picture is offered again to a server that has too much to do. */
const TRIES = 8;
let token = "";
export function useToken(text) {
    token = text;
}
function headers() {
    return token ? { Authorization: `Bearer ${token}` } : {};
}
async function refusal(response) {
    const body = await response.json().catch(() => null);
    const message = body?.error?.message;
    const text = message ?? `the server answered ${response.status}`;
    return response.status === 401 ? new Unauthorised(text) : new Error(text);
}
/** `GET` of a JSON document. */
export async function get(path) {
    const response = await fetch(path, { headers: headers() });
    if (!response.ok)
        throw await refusal(response);
    return response.json();
}
export async function predict(name, picture) {
    for (let tried = 1;; tried += 1) {
        const form = new FormData();
        form.append("image", picture, name);
        const response = await fetch("v1/predict", { method: "POST", body: form, headers: headers() });
        if (response.ok) {
            const { input, frame, faces } = (await response.json());
            return { input, frame, faces };
        }
        if ((response.status !== 503 && response.status !== 429) || tried === TRIES)
            throw await refusal(response);
        const seconds = Number(response.headers.get("Retry-After")) || 1;
        await new Promise((resolve) => setTimeout(resolve, 1000 * seconds));
    }
}
