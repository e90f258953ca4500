// Scroller: a list of any length of which only what is seen exists.
// Owns: where each item lies. Units: CSS pixels. Invariants: what one looks at stays where it is when things change above
// it; at the end the list stays at its end; elements are in the order of the items, for keyboard and screen reader.
// Not here: what an item looks like (`render`), where items come from (`conversation`).

import { keepFocus } from "./dom.js";

/** How much beyond the window is made ahead, in pixels. */
const AHEAD = 700;
/** How near the end counts as at the end. */
const END = 48;
/** How near the start asks for more. */
const START = 900;

export class Scroller {
  #view;
  #canvas;
  #render;
  #update;
  #estimate;
  #items = [];
  #index = new Map();
  #tops = new Float64Array(1);
  #heights = new Map();
  #shown = new Map();
  #frame = 0;
  #atEnd = true;
  #width = 0;
  #sizes;

  /** `view` scrolls, `canvas` is inside it. `render(item)` makes an element, `update(element, item)` changes it. */
  constructor(view, canvas, { render, update, estimate }) {
    this.#view = view;
    this.#canvas = canvas;
    this.#render = render;
    this.#update = update;
    this.#estimate = estimate;
    this.onStart = () => {};
    this.onEnd = () => {};
    view.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    this.#sizes = new ResizeObserver((entries) => this.#resized(entries));
    this.#sizes.observe(view);
  }

  /** Whether the end is in sight. */
  get atEnd() {
    return this.#atEnd;
  }

  /** Whether more will soon be wanted at the start. */
  get nearStart() {
    return this.#view.scrollTop < START;
  }

  /** How many items exist as elements. */
  get shown() {
    return this.#shown.size;
  }

  get items() {
    return this.#items;
  }

  /**
   * Shows these items: `{ key, version }` and whatever `render` wants; a new version is updated in place; `floating` ones
   * are nothing to hold on to.
   */
  set(items) {
    const anchor = this.#anchor();
    this.#items = items;
    this.#index = new Map(items.map((item, at) => [item.key, at]));
    this.#layout();
    this.#hold(anchor);
    this.#paint();
  }

  /** Forgets all, for another conversation. */
  clear() {
    for (const { element } of this.#shown.values()) {
      this.#sizes.unobserve(element);
      element.remove();
    }
    this.#shown.clear();
    this.#heights.clear();
    this.#items = [];
    this.#index.clear();
    this.#atEnd = true;
    this.#layout();
  }

  toEnd() {
    this.#atEnd = true;
    this.#view.scrollTop = this.#view.scrollHeight;
    this.#paint();
  }

  /** Brings an item into sight and returns its element, or null. */
  toItem(key) {
    const at = this.#index.get(key);
    if (at === undefined) return null;
    const height = this.#view.clientHeight;
    // Twice: what is measured on the way moves what lies behind it.
    for (let turn = 0; turn < 3; turn += 1) {
      const top = this.#tops[at];
      const bottom = this.#tops[at + 1];
      const from = this.#view.scrollTop;
      if (top < from + 8) this.#view.scrollTop = Math.max(0, top - height / 4);
      else if (bottom > from + height - 8) this.#view.scrollTop = bottom - height * 0.75;
      this.#atEnd = this.#isAtEnd();
      this.#paint();
    }
    return this.#shown.get(key)?.element ?? null;
  }

  /** The element of an item, if it exists now. */
  element(key) {
    return this.#shown.get(key)?.element ?? null;
  }

  #layout() {
    const tops = new Float64Array(this.#items.length + 1);
    for (let at = 0; at < this.#items.length; at += 1) {
      const item = this.#items[at];
      tops[at + 1] = tops[at] + (this.#heights.get(item.key) ?? this.#estimate(item));
    }
    this.#tops = tops;
    this.#canvas.style.setProperty("height", `${tops[this.#items.length]}px`);
  }

  /** The first item in the window and where it stands there. */
  #anchor() {
    if (this.#items.length === 0) return null;
    let at = this.#at(this.#view.scrollTop - this.#canvas.offsetTop);
    // A day's name may stand elsewhere once more of that day is there.
    while (this.#items[at].floating && at + 1 < this.#items.length) at += 1;
    return { key: this.#items[at].key, offset: this.#tops[at] - this.#view.scrollTop };
  }

  #hold(anchor) {
    if (this.#atEnd) {
      this.#view.scrollTop = this.#view.scrollHeight;
      return;
    }
    const at = anchor && this.#index.get(anchor.key);
    if (at === undefined || at === null) return;
    const wanted = this.#tops[at] - anchor.offset;
    if (Math.abs(wanted - this.#view.scrollTop) >= 1) this.#view.scrollTop = wanted;
  }

  /** The item that covers a height. */
  #at(y) {
    let low = 0;
    let high = this.#items.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.#tops[middle] <= y) low = middle;
      else high = middle - 1;
    }
    return Math.max(0, low);
  }

  #scrolled() {
    this.#atEnd = this.#isAtEnd();
    if (this.#frame) return;
    this.#frame = requestAnimationFrame(() => {
      this.#frame = 0;
      this.#paint();
      if (this.nearStart) this.onStart();
      this.onEnd(this.#atEnd);
    });
  }

  #isAtEnd() {
    const { scrollTop, clientHeight, scrollHeight } = this.#view;
    return scrollHeight - scrollTop - clientHeight < END;
  }

  /** Makes what is seen exist, and nothing else. */
  #paint() {
    for (let turn = 0; turn < 4; turn += 1) {
      const top = this.#view.scrollTop;
      const first = this.#at(top - AHEAD);
      const last = this.#at(top + this.#view.clientHeight + AHEAD);
      const wanted = new Set();
      let before = null;
      for (let at = first; at <= last && at < this.#items.length; at += 1) {
        const item = this.#items[at];
        wanted.add(item.key);
        const shown = this.#ensure(item);
        if (shown.top !== this.#tops[at]) {
          shown.top = this.#tops[at];
          shown.element.style.setProperty("transform", `translateY(${shown.top}px)`);
        }
        const place = before ? before.nextElementSibling : this.#canvas.firstElementChild;
        if (place !== shown.element) keepFocus(this.#canvas, () => this.#canvas.insertBefore(shown.element, place));
        before = shown.element;
      }
      for (const [key, { element }] of this.#shown) {
        // What holds the focus stays until the focus leaves.
        if (wanted.has(key) || (this.#index.has(key) && element.contains(document.activeElement))) continue;
        this.#sizes.unobserve(element);
        element.remove();
        this.#shown.delete(key);
      }
      if (!this.#measure(wanted)) return;
    }
  }

  #ensure(item) {
    let shown = this.#shown.get(item.key);
    if (!shown) {
      const element = this.#render(item);
      element.classList.add("row-item");
      shown = { element, version: item.version, top: NaN };
      this.#shown.set(item.key, shown);
      this.#sizes.observe(element);
    } else if (shown.version !== item.version) {
      this.#update(shown.element, item);
      shown.version = item.version;
    }
    return shown;
  }

  /** Measures what exists; returns whether anything has moved. */
  #measure(keys) {
    let moved = false;
    for (const key of keys) {
      const height = this.#shown.get(key).element.offsetHeight;
      if (height > 0 && this.#heights.get(key) !== height) {
        this.#heights.set(key, height);
        moved = true;
      }
    }
    if (!moved) return false;
    const anchor = this.#anchor();
    this.#layout();
    this.#hold(anchor);
    return true;
  }

  #resized(entries) {
    if (entries.some((entry) => entry.target === this.#view) && this.#view.clientWidth !== this.#width) {
      this.#width = this.#view.clientWidth;
      const anchor = this.#anchor();
      this.#heights.clear();
      this.#layout();
      this.#hold(anchor);
    } else if (this.#atEnd) this.#view.scrollTop = this.#view.scrollHeight;
    this.#paint();
  }
}
