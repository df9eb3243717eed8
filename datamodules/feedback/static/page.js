// One question at a time. A key press keeps the answer in the browser, paints the next question, then sends.

import { get } from "./api.js";
import { meaningOf } from "./keys.js";
import { Marker } from "./marker.js";
import { Outbox } from "./outbox.js";
import { Panel, byId, classKey } from "./panel.js";
import { bitmapOf, prefetch } from "./pictures.js";
import { shapeOf } from "./region.js";
import { listenToPointer } from "./touch.js";
import { View } from "./view.js";

const AHEAD = 5; // questions that wait, images decoded
const HISTORY = 200; // answers that can be taken back

const stage = byId("stage");
const view = new View(stage, byId("canvas"), [byId("thumbnail"), byId("inset")]);
const panel = new Panel();
const drawn = new Map(); // image id -> boxes that were drawn since the page was loaded

let session;
let outbox;
let current = null;
let shownAt = 0;
let queue = [];
let history = [];
let refilling = false;
let exhausted = false;
let refreshing = null;
let generation = 0; // grows with every change of order or annotator: older replies are dropped

const newId = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), (n) => n.toString(16).padStart(2, "0")).join("");

// What was chosen on the page holds until the command is started with another choice.
const remember = (name, value) => localStorage.setItem(`appraise/${name}`, JSON.stringify({ value, instead: session.given[name] }));
const remembered = (name, usual) => {
  const kept = JSON.parse(localStorage.getItem(`appraise/${name}`) ?? "null");
  return kept && kept.instead === session.given[name] ? kept.value : usual;
};

// ---- questions

function show(item) {
  current = item;
  shownAt = performance.now();
  stage.dataset.detection = item?.id ?? "";
  if (!item) {
    panel.finished(exhausted, session);
    return;
  }
  panel.question(item);
  const bitmap = bitmapOf(item.image.id);
  if (bitmap) paint(item, bitmap);
  else waitForImage(item);
}

function paint(item, bitmap) {
  view.drawn = (drawn.get(item.image.id) ?? []).map((one) => one.box);
  view.show(item, bitmap, (item.shape ??= shapeOf(item)));
  panel.painted();
  shownAt = performance.now();
  document.dispatchEvent(new CustomEvent("painted", { detail: item.id }));
}

async function waitForImage(item) {
  panel.loading();
  try {
    const bitmap = await prefetch(item.image.id);
    if (current === item) paint(item, bitmap);
  } catch (error) {
    if (current === item) panel.broken(error.message);
  }
}

// Asks for questions once everything is sent, so that the server knows what was answered.
async function refill() {
  if (refilling) return;
  refilling = true;
  try {
    while (queue.length < AHEAD) {
      const asked = generation;
      await outbox.flush();
      if (queue.length >= AHEAD) break;
      const held = [current, ...queue].filter(Boolean).map((item) => item.id);
      const found = await get("items", {
        run: session.run,
        annotator: session.annotator,
        order: session.order,
        limit: AHEAD + 1 - queue.length,
        exclude: held,
      });
      if (asked !== generation) continue;
      const answered = new Set(outbox.answers().map((one) => one.detection_id)); // while the reply was on its way
      const fresh = found.filter((item) => !answered.has(item.id) && ![current, ...queue].some((one) => one?.id === item.id));
      exhausted = found.length === 0;
      queue.push(...fresh);
      for (const item of fresh) prefetch(item.image.id).then(() => (item.shape ??= shapeOf(item)), () => {});
      if (!current && queue.length) show(queue.shift());
      if (!found.length) break;
    }
  } catch (error) {
    panel.note(error.message);
    setTimeout(refill, 2000);
  } finally {
    refilling = false;
  }
  if (!current) show(null);
}

// The server's own numbers, at most once a second.
function refreshSoon() {
  refreshing ??= setTimeout(refresh, panel.numbers ? 1000 : 0);
}

async function refresh() {
  refreshing = null;
  const asked = generation;
  const found = await get("progress", { run: session.run, annotator: session.annotator }).catch(() => null);
  if (found && asked === generation && outbox.size === 0) panel.progress(found);
}

// ---- answers

function send(answer, past) {
  const client_id = newId();
  try {
    outbox.put({ ...answer, client_id, annotator: session.annotator });
  } catch (error) {
    panel.note(`not saved: this browser keeps nothing for this page (${error.message}); allow it site data`, 0);
    throw error; // the question stays
  }
  if (past) history.push({ client_id, ...past });
  if (history.length > HISTORY) history.shift();
  outbox.flush().then(refreshSoon); // refill also asks for it, but only while questions are wanted
  return client_id;
}

function next() {
  show(queue.shift() ?? null);
  refill();
}

function answer(verdict, className = null) {
  if (!current || (verdict !== "skip" && !panel.answerable)) return;
  if (verdict === "reclass" && className === current.class) verdict = "confirm";
  const milliseconds = Math.round(performance.now() - shownAt);
  const what = { kind: "answer", image_id: current.image.id, detection_id: current.id, verdict, milliseconds };
  if (verdict === "reclass") what.class_name = className;
  send(what, { verdict, item: current });
  panel.count(verdict, current.class, 1);
  panel.flash(verdict);
  next();
}

function healthy() {
  if (!current || !panel.answerable) return;
  const id = current.image.id;
  send({ kind: "healthy", image_id: id, milliseconds: Math.round(performance.now() - shownAt) }, { verdict: "healthy", item: current });
  queue = queue.filter((item) => item.image.id !== id); // all of its questions are answered by this
  panel.count("healthy", current.class, 1);
  panel.flash("healthy");
  next();
}

function missed(box, className) {
  const image = current.image.id;
  const milliseconds = Math.round(performance.now() - shownAt);
  const client_id = send({ kind: "missed", image_id: image, class_name: className, box, milliseconds }, { verdict: "missed", image, class: className });
  if (!drawn.has(image)) drawn.set(image, []);
  drawn.get(image).push({ client_id, box });
  panel.count("missed", className, 1);
  paint(current, bitmapOf(image));
}

function undo() {
  if (marker.active) return marker.stop();
  const last = history.pop();
  if (!last) return panel.note("nothing is left to take back", 2500);
  send({ kind: "undo", target: last.client_id });
  panel.count(last.verdict, last.item?.class ?? last.class, -1);
  if (last.verdict === "missed") {
    for (const [image, boxes] of drawn) drawn.set(image, boxes.filter((one) => one.client_id !== last.client_id));
    if (current && bitmapOf(current.image.id)) paint(current, bitmapOf(current.image.id));
    panel.note(`taken back: missed ${last.class ?? "defect"}`, 2000);
  } else if (last.item) {
    if (current) queue.unshift(current);
    queue = queue.filter((item) => item.id !== last.item.id);
    show(last.item);
  } else {
    queue = []; // its questions come back
  }
  refill();
}

function refused(answered, sentence) {
  history = history.filter((one) => one.client_id !== answered.client_id);
  for (const [image, boxes] of drawn) drawn.set(image, boxes.filter((one) => one.client_id !== answered.client_id));
  if (answered.kind !== "undo") panel.note(`not saved: ${sentence}`, 7000);
}

// ---- settings

function toggleOverlay() {
  view.overlay = !view.overlay;
  byId("overlay").setAttribute("aria-pressed", view.overlay);
  remember("overlay", view.overlay);
  view.draw();
}

function magnify(factor) {
  if (!current || !view.bitmap) return;
  if (factor === 0) {
    view.zoom = view.zoom === 0 ? 1 : 0; // whole part, and back
    view.shift = [0, 0];
    view.draw();
  } else {
    view.magnify(factor);
  }
  remember("zoom", view.zoom);
}

async function restart() {
  generation += 1;
  queue = [];
  exhausted = false;
  current = null;
  const past = await get("history", { run: session.run, annotator: session.annotator });
  history = past.reverse();
  panel.numbers = null;
  refreshSoon();
  await refill();
}

async function askName() {
  const name = await panel.ask("Who answers?", "Answers are saved under this name; each name is asked every question once.", session.annotator);
  if (name && name !== session.annotator) {
    session.annotator = name;
    remember("annotator", name);
    panel.session(session);
    await restart();
  }
}

// ---- keys, buttons, touch

const marker = new Marker(stage, view, panel, missed);

function pickClass(place) {
  const name = session.classes[place];
  if (name === undefined) return;
  if (marker.active) marker.choose(name);
  else if (session.classes.length > 1) answer("reclass", name);
}

const KEYS = {
  y: () => answer("confirm"),
  ArrowRight: () => answer("confirm"),
  n: () => answer("reject"),
  ArrowLeft: () => answer("reject"),
  " ": () => answer("skip"),
  s: () => answer("skip"),
  ArrowDown: () => answer("skip"),
  Backspace: undo,
  u: undo,
  m: () => current && panel.answerable && marker.toggle(session.classes, current.class),
  h: healthy,
  o: toggleOverlay,
  "+": () => magnify(1.3),
  "-": () => magnify(1 / 1.3),
  f: () => magnify(0),
};
const WHILE_MARKING = ["o", "+", "-", "f", "m", "u", "Backspace"];

const MEANT = (name) => Object.hasOwn(KEYS, name) || name === "Escape" || name === "Enter";

document.addEventListener("keydown", (event) => {
  if (event.repeat || byId("dialog").open || event.target.tagName === "SELECT" || event.altKey || event.metaKey) return;
  if (event.ctrlKey) {
    if (meaningOf(event, (name) => name === "z").name) undo();
    return;
  }
  const { name, digit, second } = meaningOf(event, MEANT);
  if (digit !== undefined) pickClass(((digit + 9) % 10) + (second ? 10 : 0));
  else if (name === "Escape") marker.active ? marker.stop() : panel.closeChooser();
  else if (name === "Enter" && marker.active) marker.choose(current.class);
  else if (Object.hasOwn(KEYS, name ?? "") && (!marker.active || WHILE_MARKING.includes(name))) KEYS[name]();
  else return;
  event.preventDefault();
});

const BUTTONS = {
  yes: KEYS.y, no: KEYS.n, skip: KEYS.s, undo, missed: KEYS.m, healthy, overlay: toggleOverlay, who: askName,
  "zoom-in": KEYS["+"], "zoom-out": KEYS["-"], "zoom-fit": KEYS.f,
  other: () => current && panel.openChooser(session.classes, current.class, pickClass),
};
for (const [id, press] of Object.entries(BUTTONS)) {
  byId(id).addEventListener("click", (event) => {
    event.currentTarget.blur(); // so that space skips and does not press it again
    press();
  });
}

byId("order").addEventListener("change", (event) => {
  session.order = event.target.value;
  remember("order", session.order);
  event.target.blur();
  restart();
});

listenToPointer(stage, view, marker, {
  right: () => answer("confirm"),
  left: () => answer("reject"),
  up: () => answer("skip"),
  pressed: () => !marker.active && panel.closeChooser(),
  zoomed: () => remember("zoom", view.zoom),
});

// ---- start

async function start() {
  try {
    session = await get("session");
  } catch (error) {
    if (error.status === 401) panel.broken(error.message, "This page needs its token");
    else panel.broken(`The server does not answer (${error.message}).`, "Waiting for the server");
    if (error.status !== 401) setTimeout(start, 1500);
    return;
  }
  session.given = { annotator: session.annotator, order: session.order };
  session.annotator = remembered("annotator", session.annotator);
  const order = remembered("order", session.order);
  if (session.orders.includes(order)) session.order = order;
  view.zoom = remembered("zoom", 1);
  view.overlay = remembered("overlay", true);
  byId("overlay").setAttribute("aria-pressed", view.overlay);
  outbox = new Outbox(session.run, session.run_key, () => panel.saving(outbox), refused);
  panel.session(session, pickClass);
  await outbox.flush(); // what an earlier page could not send
  await restart();
}

addEventListener("beforeunload", () => outbox?.flush());
window.appraise = { classKey, get pending() { return outbox?.size ?? 0; }, get waiting() { return queue.filter((item) => bitmapOf(item.image.id)).length; } };
start();
