// What the recogniser says of a picture: the JSON of `emoxide predict`.
/** The most probable expression, and its probability. */
export function top(face) {
    return Object.entries(face.probabilities).reduce((best, next) => (next[1] > best[1] ? next : best));
}
/** The expression that a face is said to show, given the least probability for saying one. */
export function verdict(face, least) {
    const [name, probability] = top(face);
    return probability >= least ? name : "uncertain";
}
/** `0.9876` as `98.8 %`. */
export function percent(probability) {
    return `${(100 * probability).toFixed(1)} %`;
}
