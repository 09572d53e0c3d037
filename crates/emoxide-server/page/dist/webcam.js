// The webcam: one picture after the other, as fast as they are looked at.
import { draw } from "./overlay.js";
export class Webcam {
    video;
    predict;
    longest;
    least;
    told;
    stream = null;
    last = null;
    constructor(video, predict, 
    /** Longest side of a picture that is looked at, in pixels. */
    longest, least, 
    /** Told the pictures a second, after each. */
    told) {
        this.video = video;
        this.predict = predict;
        this.longest = longest;
        this.least = least;
        this.told = told;
    }
    get running() {
        return this.stream !== null;
    }
    /** The picture on the screen, with what was said of it. */
    get kept() {
        return this.last;
    }
    async start() {
        if (navigator.mediaDevices === undefined) {
            throw new Error("browsers give the webcam to pages of this machine or with https only");
        }
        this.stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "user" }, audio: false });
        this.video.srcObject = this.stream;
        await this.video.play();
    }
    stop() {
        this.stream?.getTracks().forEach((track) => track.stop());
        this.stream = null;
        this.last = null;
        this.video.srcObject = null;
        this.video.parentElement?.querySelector("svg")?.remove();
    }
    /** Looks until it is stopped; fails as looking fails. */
    async look() {
        const canvas = document.createElement("canvas");
        const stream = this.stream;
        let rate = 0;
        while (this.stream !== null && this.stream === stream) {
            const start = performance.now();
            const scale = Math.min(1, this.longest() / Math.max(this.video.videoWidth, this.video.videoHeight));
            canvas.width = Math.round(this.video.videoWidth * scale);
            canvas.height = Math.round(this.video.videoHeight * scale);
            canvas.getContext("2d")?.drawImage(this.video, 0, 0, canvas.width, canvas.height);
            const picture = await new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.92));
            if (picture === null)
                throw new Error("this browser could not read the webcam's picture");
            const prediction = await this.predict("webcam.jpg", picture);
            if (this.stream !== stream)
                return;
            const seen = { prediction, width: canvas.width, height: canvas.height };
            this.last = { picture, seen };
            draw(this.video.parentElement, seen, this.video.clientWidth, this.least());
            const now = 1000 / (performance.now() - start);
            rate = rate === 0 ? now : 0.8 * rate + 0.2 * now;
            this.told(rate);
            await new Promise(requestAnimationFrame);
        }
    }
}
