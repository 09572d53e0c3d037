// The webcam: one picture after the other, as fast as they are looked at.

import { draw } from "./overlay.js";
import type { Prediction, Seen } from "./prediction.js";


export class Webcam {
  private stream: MediaStream | null = null;
  private last: { picture: Blob; seen: Seen } | null = null;

  constructor(
    private readonly video: HTMLVideoElement,
    private readonly predict: (name: string, picture: Blob) => Promise<Prediction>,
    /** Longest side of a picture that is looked at, in pixels. */
    private readonly longest: () => number,
    private readonly least: () => number,
    /** Told the pictures a second, after each. */
    private readonly told: (rate: number) => void,
  ) {}

  get running(): boolean {
    return this.stream !== null;
  }

  /** The picture on the screen, with what was said of it. */
  get kept(): { picture: Blob; seen: Seen } | null {
    return this.last;
  }

  async start(): Promise<void> {
    if (navigator.mediaDevices === undefined) {
      throw new Error("browsers give the webcam to pages of this machine or with https only");
    }
    this.stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "user" }, audio: false });
    this.video.srcObject = this.stream;
    await this.video.play();
  }

  stop(): void {
    this.stream?.getTracks().forEach((track) => track.stop());
    this.stream = null;
    this.last = null;
    this.video.srcObject = null;
    this.video.parentElement?.querySelector("svg")?.remove();
  }

  /** Looks until it is stopped; fails as looking fails. */
  async look(): Promise<void> {
    const canvas = document.createElement("canvas");
    const stream = this.stream;
    let rate = 0;
    while (this.stream !== null && this.stream === stream) {
      const start = performance.now();
      const scale = Math.min(1, this.longest() / Math.max(this.video.videoWidth, this.video.videoHeight));
      canvas.width = Math.round(this.video.videoWidth * scale);
      canvas.height = Math.round(this.video.videoHeight * scale);
      canvas.getContext("2d")?.drawImage(this.video, 0, 0, canvas.width, canvas.height);
      const picture = await new Promise<Blob | null>((done) => canvas.toBlob(done, "image/jpeg", 0.92));
      if (picture === null) throw new Error("this browser could not read the webcam's picture");
      const prediction = await this.predict("webcam.jpg", picture);
      if (this.stream !== stream) return;
      const seen = { prediction, width: canvas.width, height: canvas.height };
      this.last = { picture, seen };
      draw(this.video.parentElement as HTMLElement, seen, this.video.clientWidth, this.least());
      const now = 1000 / (performance.now() - start);
      rate = rate === 0 ? now : 0.8 * rate + 0.2 * now;
      this.told(rate);
      await new Promise(requestAnimationFrame);
    }
  }
}
