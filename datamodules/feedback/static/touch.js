// Mouse: drag moves the part, the wheel magnifies. Touch: swipe answers, two fingers magnify and move.

const FAR = 80; // pixels of a swipe that answers
const LABELS = { right: ["Yes", "var(--yes)"], left: ["No", "var(--no)"], up: ["Skip", "var(--text)"] };

export function listenToPointer(stage, view, marker, does) {
  const canvas = document.getElementById("canvas");
  const label = document.getElementById("swipe");
  const fingers = new Map();
  let from = null;
  let pinch = null;

  const direction = (dx, dy) => {
    if (Math.abs(dx) >= Math.abs(dy)) return dx > 0 ? "right" : "left";
    return dy < 0 ? "up" : null;
  };
  const settle = () => {
    canvas.style.transform = "";
    label.style.opacity = 0;
    from = null;
  };
  const spread = () => {
    const [a, b] = [...fingers.values()];
    return { far: Math.hypot(a.x - b.x, a.y - b.y), x: (a.x + b.x) / 2, y: (a.y + b.y) / 2 };
  };

  // A swipe is no scrolling: the browser would take it for a fling and drop the tap on a button that follows at once.
  canvas.addEventListener("touchstart", (event) => event.preventDefault(), { passive: false });

  canvas.addEventListener("pointerdown", (event) => {
    if (!view.item) return;
    does.pressed();
    canvas.setPointerCapture(event.pointerId);
    fingers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    if (marker.active) marker.down(event);
    else if (fingers.size === 2) {
      settle();
      pinch = spread();
    } else from = { x: event.clientX, y: event.clientY, touch: event.pointerType === "touch" };
  });

  canvas.addEventListener("pointermove", (event) => {
    if (!fingers.has(event.pointerId)) return;
    const before = fingers.get(event.pointerId);
    fingers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    if (marker.active) marker.move(event);
    else if (pinch && fingers.size === 2) {
      const now = spread();
      view.magnify(now.far / Math.max(1, pinch.far));
      view.pan(now.x - pinch.x, now.y - pinch.y);
      pinch = now;
    } else if (from?.touch) {
      const [dx, dy] = [event.clientX - from.x, event.clientY - from.y];
      const way = direction(dx, dy);
      const part = Math.min(1, Math.hypot(dx, dy) / FAR);
      canvas.style.transform = `translate(${dx * 0.35}px, ${Math.min(0, dy) * 0.35}px)`;
      label.textContent = way ? LABELS[way][0] : "";
      label.style.color = way ? LABELS[way][1] : "";
      label.style.opacity = way ? part * part : 0;
    } else if (from) view.pan(event.clientX - before.x, event.clientY - before.y);
  });

  const release = (event) => {
    if (!fingers.delete(event.pointerId)) return;
    if (marker.active) {
      marker.up(event);
    } else if (pinch) {
      if (fingers.size < 2) pinch = null;
      does.zoomed();
    } else if (from?.touch && event.type === "pointerup") {
      const [dx, dy] = [event.clientX - from.x, event.clientY - from.y];
      const way = direction(dx, dy);
      settle();
      if (way && Math.hypot(dx, dy) >= FAR) does[way]();
      return;
    }
    settle();
  };
  canvas.addEventListener("pointerup", release);
  canvas.addEventListener("pointercancel", release);

  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    if (!view.item || !view.bitmap) return;
    view.magnify(Math.exp(-event.deltaY / 500));
    does.zoomed();
  }, { passive: false });
}
