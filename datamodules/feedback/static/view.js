// Draws the part: the detection in its surroundings on the stage, the whole part small beside it.

const CONTEXT = 3.2; // the crop is so many times as large as the detection
const PART = 0.34; // of the image's shorter side that the crop shows at least
const MARK = "#ffd24a";
const OWN = "#6cb6ff";

export class View {
  constructor(stage, canvas, thumbnails) {
    this.stage = stage;
    this.canvas = canvas;
    this.thumbnails = thumbnails;
    this.bitmap = null;
    this.item = null;
    this.shape = null;
    this.overlay = true;
    this.zoom = 1; // kept from item to item; 0: the whole part
    this.shift = [0, 0]; // pixels of the image; of this item alone
    this.draft = null; // box that is being drawn
    this.drawn = []; // boxes that this operator drew on this image
    new ResizeObserver(() => this.resize()).observe(stage);
    this.resize();
  }

  resize() {
    const ratio = devicePixelRatio || 1;
    for (const canvas of [this.canvas, ...this.thumbnails]) {
      const width = Math.round(canvas.clientWidth * ratio);
      const height = Math.round(canvas.clientHeight * ratio);
      if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    }
    this.draw();
  }

  show(item, bitmap, shape) {
    if (item !== this.item) this.shift = [0, 0];
    Object.assign(this, { item, bitmap, shape });
    this.draw();
  }

  // Scale, and the point of the image at the middle of the stage.
  frame() {
    const { width, height } = this.item.image;
    const fit = Math.min(this.canvas.width / width, this.canvas.height / height);
    if (this.zoom === 0) return { scale: fit, middle: [width / 2 + this.shift[0], height / 2 + this.shift[1]] };
    const [x1, y1, x2, y2] = this.item.box;
    const scale = Math.max(fit, this.close() * this.zoom);
    const centre = [(x1 + x2) / 2 + this.shift[0], (y1 + y2) / 2 + this.shift[1]];
    const inside = (value, length, room) => {
      const half = room / scale / 2;
      return length <= 2 * half ? length / 2 : Math.min(Math.max(value, half), length - half);
    };
    return { scale, middle: [inside(centre[0], width, this.canvas.width), inside(centre[1], height, this.canvas.height)] };
  }

  // Scale at which the detection is seen in its surroundings.
  close() {
    const [x1, y1, x2, y2] = this.item.box;
    const { width, height } = this.item.image;
    const side = Math.max((x2 - x1) * CONTEXT, (y2 - y1) * CONTEXT, Math.min(width, height) * PART);
    return Math.min(this.canvas.width, this.canvas.height) / side;
  }

  // Pixels of the image under a point of the page.
  toImage(clientX, clientY) {
    const area = this.canvas.getBoundingClientRect();
    const ratio = this.canvas.width / area.width;
    const { scale, middle } = this.frame();
    return [
      middle[0] + ((clientX - area.left) * ratio - this.canvas.width / 2) / scale,
      middle[1] + ((clientY - area.top) * ratio - this.canvas.height / 2) / scale,
    ];
  }

  toPage(x, y) {
    const area = this.canvas.getBoundingClientRect();
    const ratio = this.canvas.width / area.width;
    const { scale, middle } = this.frame();
    return [((x - middle[0]) * scale + this.canvas.width / 2) / ratio, ((y - middle[1]) * scale + this.canvas.height / 2) / ratio];
  }

  pan(dx, dy) {
    const ratio = this.canvas.width / this.canvas.clientWidth;
    const { scale, middle } = this.frame();
    const [x1, y1, x2, y2] = this.item.box;
    const { width, height } = this.item.image;
    const base = this.zoom === 0 ? [width / 2, height / 2] : [(x1 + x2) / 2, (y1 + y2) / 2];
    this.shift = [middle[0] - base[0] - (dx * ratio) / scale, middle[1] - base[1] - (dy * ratio) / scale];
    this.draw();
  }

  magnify(factor) {
    const fit = Math.min(this.canvas.width / this.item.image.width, this.canvas.height / this.item.image.height);
    const now = this.frame().scale;
    const wanted = Math.min(Math.max(now * factor, fit), 40);
    this.zoom = wanted <= fit * 1.001 ? 0 : wanted / this.close();
    if (this.zoom === 0) this.shift = [0, 0];
    this.draw();
  }

  draw() {
    if (!this.item || !this.bitmap) return;
    const brush = this.canvas.getContext("2d");
    const { scale, middle } = this.frame();
    brush.setTransform(1, 0, 0, 1, 0, 0);
    brush.fillStyle = "#07090c";
    brush.fillRect(0, 0, this.canvas.width, this.canvas.height);
    brush.imageSmoothingEnabled = scale < 12; // far in, pixels are shown as they are
    brush.imageSmoothingQuality = "high";
    brush.setTransform(scale, 0, 0, scale, this.canvas.width / 2 - middle[0] * scale, this.canvas.height / 2 - middle[1] * scale);
    brush.drawImage(this.bitmap, 0, 0, this.item.image.width, this.item.image.height);
    const thick = (devicePixelRatio || 1) / scale;
    if (this.overlay) this.outlines(brush, thick);
    if (this.draft) this.stroke(brush, boxPath(this.draft), OWN, 2.5 * thick, thick);
    for (const canvas of this.thumbnails) if (canvas.clientWidth) this.drawThumbnail(canvas, scale, middle);
  }

  outlines(brush, thick) {
    brush.setLineDash([5 * thick, 4 * thick]);
    for (const other of this.item.others) {
      if (other.origin === "model") this.stroke(brush, boxPath(other.box), "#ffffff9c", 1.2 * thick, 0);
    }
    brush.setLineDash([]);
    const own = this.item.others.filter((other) => other.origin === "operator").map((other) => other.box);
    for (const box of [...own, ...this.drawn]) this.stroke(brush, boxPath(box), OWN, 2 * thick, thick);
    brush.fillStyle = "#ffd24a1c";
    brush.fill(this.shape.fill);
    this.stroke(brush, this.shape.outline, MARK, 2.2 * thick, thick);
  }

  stroke(brush, path, colour, width, halo) {
    brush.lineCap = "square";
    if (halo) {
      brush.strokeStyle = "#000000b0";
      brush.lineWidth = width + 2 * halo;
      brush.stroke(path);
    }
    brush.strokeStyle = colour;
    brush.lineWidth = width;
    brush.stroke(path);
  }

  drawThumbnail(canvas, scale, middle) {
    const brush = canvas.getContext("2d");
    const { width, height } = this.item.image;
    const fit = Math.min(canvas.width / width, canvas.height / height);
    brush.setTransform(1, 0, 0, 1, 0, 0);
    brush.fillStyle = "#07090c";
    brush.fillRect(0, 0, canvas.width, canvas.height);
    brush.setTransform(fit, 0, 0, fit, (canvas.width - width * fit) / 2, (canvas.height - height * fit) / 2);
    brush.drawImage(this.bitmap, 0, 0, width, height);
    const thick = (devicePixelRatio || 1) / fit;
    const seen = [this.canvas.width / scale, this.canvas.height / scale];
    const x = Math.max(0, middle[0] - seen[0] / 2);
    const y = Math.max(0, middle[1] - seen[1] / 2);
    const w = Math.min(width, middle[0] + seen[0] / 2) - x;
    const h = Math.min(height, middle[1] + seen[1] / 2) - y;
    if (w < width - 1 || h < height - 1) this.stroke(brush, boxPath([x, y, x + w, y + h]), "#ffffffd0", 1.4 * thick, thick / 2);
    this.stroke(brush, boxPath(this.item.box), MARK, 1.8 * thick, thick / 2);
  }
}

function boxPath([x1, y1, x2, y2]) {
  const path = new Path2D();
  path.rect(x1, y1, x2 - x1, y2 - y1);
  return path;
}
