// Marks a defect that the model missed: one click or drag, then its class.

const CLICK = 5; // pixels of the page: less movement is a click
const PART = 1 / 14; // side of the box that a click makes, of the image's shorter side
const FEWEST = 16; // its smallest side, pixels of the image

export class Marker {
  constructor(stage, view, panel, save) {
    Object.assign(this, { stage, view, panel, save, active: false, box: null, from: null, classes: [], shown: "" });
  }

  toggle(classes, shown) {
    if (this.active) return this.stop();
    Object.assign(this, { active: true, classes, shown, box: null });
    this.stage.classList.add("marking");
    this.panel.hint("click on the missed defect, or drag a box around it · Esc cancels");
  }

  stop() {
    Object.assign(this, { active: false, box: null, from: null });
    this.stage.classList.remove("marking");
    this.panel.closeChooser();
    this.panel.hint("");
    this.view.draft = null;
    this.view.draw();
  }

  down(event) {
    this.panel.closeChooser();
    this.from = [event.clientX, event.clientY];
    this.view.draft = null;
  }

  move(event) {
    if (!this.from) return;
    this.view.draft = this.between(this.from, [event.clientX, event.clientY]);
    this.view.draw();
  }

  up(event) {
    if (!this.from) return;
    const far = Math.hypot(event.clientX - this.from[0], event.clientY - this.from[1]);
    this.box = far < CLICK ? this.around(...this.from) : this.between(this.from, [event.clientX, event.clientY]);
    this.from = null;
    if (!this.box) return;
    if (this.classes.length === 1) return this.choose(this.classes[0]); // there is nothing to ask
    this.view.draft = this.box;
    this.view.draw();
    this.panel.hint(`which class? Enter: ${this.shown} · Esc cancels`);
    const [x, y] = this.view.toPage(this.box[2], this.box[1]);
    this.panel.openChooser(this.classes, this.shown, (place) => this.choose(this.classes[place]), [x + 12, y]);
  }

  choose(name) {
    if (!this.box) return this.panel.hint("first click on the defect, or drag a box around it · Esc cancels");
    const box = this.box;
    this.stop();
    this.save(box, name);
  }

  between(from, to) {
    const [ax, ay] = this.view.toImage(...from);
    const [bx, by] = this.view.toImage(...to);
    return this.inside([Math.min(ax, bx), Math.min(ay, by), Math.max(ax, bx), Math.max(ay, by)]);
  }

  around(clientX, clientY) {
    const [x, y] = this.view.toImage(clientX, clientY);
    const { width, height } = this.view.item.image;
    const half = Math.max(FEWEST, Math.min(width, height) * PART) / 2;
    return this.inside([x - half, y - half, x + half, y + half]);
  }

  // Whole pixels inside the image; null where nothing of the box is.
  inside([x1, y1, x2, y2]) {
    const { width, height } = this.view.item.image;
    const box = [Math.max(0, Math.floor(x1)), Math.max(0, Math.floor(y1)), Math.min(width, Math.ceil(x2)), Math.min(height, Math.ceil(y2))];
    return box[2] > box[0] && box[3] > box[1] ? box : null;
  }
}
