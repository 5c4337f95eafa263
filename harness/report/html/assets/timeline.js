// The timeline of a run: drawn anew in each frame, only what is visible, and never more than a mark a pixel.
"use strict";

const RULER = 17;
const MAP = 16;
const CLOSEST = 90; // pixels between two events at most

class Timeline {
  constructor(viewport, events, tell) {
    this.viewport = viewport;
    this.events = events;
    this.tell = tell; // takes the position of the event that is looked at, or null
    this.lanes = new Lanes(events);
    this.byTime = false;
    this.current = null;
    this.hovered = null;
    this.proof = null;
    this.left = 0;
    this.scale = 1;
    this.canvas = element(viewport, "div", { class: "tall" }).appendChild(document.createElement("canvas"));
    this.tall = this.canvas.parentElement;
    this.canvas.tabIndex = 0;
    this.canvas.setAttribute("role", "application");
    this.canvas.setAttribute("aria-roledescription", "timeline");
    this.pen = this.canvas.getContext("2d");
    this.space(false);
    this.listen();
  }

  // Events an equal distance apart, or the further the more time lies between them; never back.
  space(byTime) {
    this.byTime = byTime;
    const { time, length } = this.events;
    this.x = new Float64Array(length);
    let last = null;
    for (let at = 1; at < length; at++) {
      if (time[at - 1] !== null) last = time[at - 1];
      const passed = byTime && time[at] !== null && last !== null ? Math.max(time[at] - last, 0) : 0;
      this.x[at] = this.x[at - 1] + 1 + Math.log2(1 + passed / 1000);
    }
    this.end = length ? this.x[length - 1] + 1 : 1;
  }

  // --- what is in view ---

  resize() {
    const phone = window.innerWidth < 600;
    this.height = Math.min(Math.max(this.lanes.height + RULER + MAP + 4, 130), phone ? 300 : 420);
    this.width = Math.max(this.viewport.clientWidth, 50);
    const dots = window.devicePixelRatio || 1;
    this.viewport.style.height = `${this.height}px`;
    this.tall.style.height = `${this.lanes.height + RULER + MAP + 4}px`;
    this.canvas.style.height = `${this.height}px`;
    this.canvas.width = Math.round(this.width * dots);
    this.canvas.height = Math.round(this.height * dots);
    this.pen.setTransform(dots, 0, 0, dots, 0, 0);
    this.colours = colours();
    this.clamp();
    this.draw();
  }

  clamp() {
    const least = this.width / (this.end + 1);
    this.scale = Math.min(Math.max(this.scale, least), Math.max(CLOSEST, least));
    this.left = Math.min(Math.max(this.left, -0.5), Math.max(this.end + 0.5 - this.width / this.scale, -0.5));
  }

  all() {
    this.scale = 0;
    this.clamp();
    this.draw();
  }

  zoom(factor, at = this.width / 2) {
    const under = this.left + at / this.scale;
    this.scale *= factor;
    this.clamp();
    this.left = under - at / this.scale;
    this.clamp();
    this.draw();
  }

  pan(pixels) {
    this.left += pixels / this.scale;
    this.clamp();
    this.draw();
  }

  // Look at one event: in the middle, its neighbours told apart, its lane in view.
  look(at, { scale = Math.max(this.scale, this.width / 40) } = {}) {
    const lane = this.events.lane[at];
    if (!this.lanes.has(lane)) this.choose(null);
    this.scale = scale;
    this.left = this.x[at] - this.width / scale / 2;
    this.clamp();
    const middle = this.lanes.middleOf(lane);
    const room = this.height - RULER - MAP;
    if (middle !== null && (middle < this.viewport.scrollTop + 20 || middle > this.viewport.scrollTop + room - 30)) {
      this.viewport.scrollTop = middle - room / 2;
    }
    this.current = at;
    this.tell(at);
    this.draw();
  }

  // Draw a proof, and look at the event that breaks it.
  prove(proof) {
    this.proof = proof;
    if (!proof || !proof.points.length) return this.draw();
    const first = this.x[proof.points[0].at];
    const last = this.x[proof.points[proof.points.length - 1].at];
    const close = Math.max(last - first, 12) * 1.4;
    return this.look(proof.place, { scale: close < 150 ? this.width / close : this.width / 60 });
  }

  choose(lanes) {
    this.lanes.show(lanes);
    this.resize();
  }

  step(forward) {
    const { lane, length } = this.events;
    let at = this.current === null ? firstAtLeast(this.x, this.left) : this.current + forward;
    while (at >= 0 && at < length && !this.lanes.has(lane[at])) at += forward || 1;
    if (at < 0 || at >= length) return;
    this.current = at;
    const seen = (this.x[at] - this.left) * this.scale;
    if (seen < 30 || seen > this.width - 30) this.left = this.x[at] - this.width / this.scale / 2;
    this.clamp();
    this.tell(at);
    this.draw();
  }

  // The event at a point of the canvas; null: there is none near it.
  at(x, y) {
    if (!this.lanes.shown.length || y < RULER || y > this.height - MAP) return null;
    const lane = this.lanes.shown[this.lanes.placeAt(y - RULER + this.viewport.scrollTop)];
    const positions = this.lanes.positions[lane];
    const unit = this.left + x / this.scale;
    const next = firstAtLeast(positions, firstAtLeast(this.x, unit));
    const near = [positions[next - 1], positions[next]].filter((at) => at !== undefined);
    near.sort((one, other) => Math.abs(this.x[one] - unit) - Math.abs(this.x[other] - unit));
    return near.length && Math.abs(this.x[near[0]] - unit) * this.scale < 12 ? near[0] : null;
  }

  // --- the hand ---

  listen() {
    const pointers = new Map();
    const place = (event) => {
      const box = this.canvas.getBoundingClientRect();
      return { x: event.clientX - box.left, y: event.clientY - box.top };
    };
    this.canvas.addEventListener("pointerdown", (event) => {
      pointers.set(event.pointerId, { ...place(event), moved: 0 });
      this.canvas.setPointerCapture(event.pointerId);
    });
    this.canvas.addEventListener("pointermove", (event) => {
      const now = place(event);
      const before = pointers.get(event.pointerId);
      if (!before) {
        const at = this.at(now.x, now.y);
        if (at !== this.hovered) {
          this.hovered = at;
          this.tell(at ?? this.current, now);
          this.draw();
        }
        return;
      }
      const others = [...pointers].filter(([id]) => id !== event.pointerId);
      if (others.length) {
        const other = others[0][1];
        this.zoom(Math.max(Math.abs(now.x - other.x), 10) / Math.max(Math.abs(before.x - other.x), 10), (now.x + other.x) / 2);
      } else if (before.y > this.height - MAP) {
        this.left = (now.x / this.width) * this.end - this.width / this.scale / 2;
        this.pan(0);
      } else {
        this.pan(before.x - now.x);
      }
      pointers.set(event.pointerId, { ...now, y: before.y, moved: before.moved + Math.abs(now.x - before.x) });
    });
    const up = (event) => {
      const begun = pointers.get(event.pointerId);
      pointers.delete(event.pointerId);
      if (!begun || begun.moved > 4 || event.type === "pointercancel") return;
      const now = place(event);
      if (now.y > this.height - MAP) {
        this.left = (now.x / this.width) * this.end - this.width / this.scale / 2;
        this.pan(0);
        return;
      }
      this.current = this.at(now.x, now.y);
      this.tell(this.current, now);
      this.draw();
    };
    this.canvas.addEventListener("pointerup", up);
    this.canvas.addEventListener("pointercancel", up);
    this.canvas.addEventListener("pointerleave", () => {
      if (this.hovered === null) return;
      this.hovered = null;
      this.tell(this.current);
      this.draw();
    });
    this.canvas.addEventListener("wheel", (event) => {
      if (event.ctrlKey || event.metaKey) this.zoom(Math.exp(-event.deltaY / 200), place(event).x);
      else if (event.shiftKey && !event.deltaX) this.pan(event.deltaY);
      else if (Math.abs(event.deltaX) > Math.abs(event.deltaY)) this.pan(event.deltaX);
      else return; // the page, or the lanes, are scrolled
      event.preventDefault();
    }, { passive: false });
    this.canvas.addEventListener("keydown", (event) => {
      const keys = {
        ArrowLeft: () => this.step(-1),
        ArrowRight: () => this.step(1),
        ArrowUp: () => { this.viewport.scrollTop -= 40; },
        ArrowDown: () => { this.viewport.scrollTop += 40; },
        "+": () => this.zoom(1.5),
        "=": () => this.zoom(1.5),
        "-": () => this.zoom(1 / 1.5),
        0: () => this.all(),
        Home: () => this.look(0),
        End: () => this.look(this.events.length - 1),
        PageUp: () => this.pan(-this.width * 0.8),
        PageDown: () => this.pan(this.width * 0.8),
      };
      if (!Object.hasOwn(keys, event.key) || event.ctrlKey || event.metaKey || event.altKey) return;
      keys[event.key]();
      event.preventDefault();
    });
    this.viewport.addEventListener("scroll", () => this.draw());
  }

  draw() {
    if (this.frame || !this.width) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = 0;
      paint(this);
    });
  }
}
