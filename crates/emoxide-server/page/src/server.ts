// Pictures looked at by the server.

import type { Prediction } from "./prediction.js";

/** The server wants a token, or another one. */
export class Unauthorised extends Error {}

/** How often a picture is offered again to a server that has too much to do. */
const TRIES = 8;

let token = "";

export function useToken(text: string): void {
  token = text;
}

function headers(): Record<string, string> {
  return token ? { Authorization: `Bearer ${token}` } : {};
}

async function refusal(response: Response): Promise<Error> {
  const body: unknown = await response.json().catch(() => null);
  const message = (body as { error?: { message?: string } } | null)?.error?.message;
  const text = message ?? `the server answered ${response.status}`;
  return response.status === 401 ? new Unauthorised(text) : new Error(text);
}

/** `GET` of a JSON document. */
export async function get(path: string): Promise<unknown> {
  const response = await fetch(path, { headers: headers() });
  if (!response.ok) throw await refusal(response);
  return response.json();
}

export async function predict(name: string, picture: Blob): Promise<Prediction> {
  for (let tried = 1; ; tried += 1) {
    const form = new FormData();
    form.append("image", picture, name);
    const response = await fetch("v1/predict", { method: "POST", body: form, headers: headers() });
    if (response.ok) {
      const { input, frame, faces } = (await response.json()) as Prediction;
      return { input, frame, faces };
    }
    if ((response.status !== 503 && response.status !== 429) || tried === TRIES) throw await refusal(response);
    const seconds = Number(response.headers.get("Retry-After")) || 1;
    await new Promise((resolve) => setTimeout(resolve, 1000 * seconds));
  }
}
