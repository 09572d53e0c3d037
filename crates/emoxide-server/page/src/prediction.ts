// What the recogniser says of a picture: the JSON of `emoxide predict`.

export interface Box {
  x: number;
  y: number;
  width: number;
  height: number;
}

export interface Face {
  face_id: number;
  box: Box;
  detection_score: number | null;
  landmarks: [number, number][] | null;
  dominant_emotion: string;
  /** By expression, in the model's order; they sum to 1. */
  probabilities: Record<string, number>;
}

export interface Prediction {
  input: string;
  frame: number;
  faces: Face[];
}

/** A prediction with the size of its picture in pixels. */
export interface Seen {
  prediction: Prediction;
  width: number;
  height: number;
}

/** The most probable expression, and its probability. */
export function top(face: Face): [string, number] {
  return Object.entries(face.probabilities).reduce((best, next) => (next[1] > best[1] ? next : best));
}

/** The expression that a face is said to show, given the least probability for saying one. */
export function verdict(face: Face, least: number): string {
  const [name, probability] = top(face);
  return probability >= least ? name : "uncertain";
}

/** `0.9876` as `98.8 %`. */
export function percent(probability: number): string {
  return `${(100 * probability).toFixed(1)} %`;
}
