// Regions as the COCO format stores them: run lengths, column after column, five bits a character.

export function runLengths(text) {
  const runs = [];
  let place = 0;
  while (place < text.length) {
    let value = 0;
    let shift = 0;
    let more = true;
    while (more) {
      const code = text.charCodeAt(place++) - 48;
      value |= (code & 0x1f) << (5 * shift++);
      more = (code & 0x20) !== 0;
      if (!more && code & 0x10) value |= -1 << (5 * shift);
    }
    if (runs.length > 2) value += runs[runs.length - 2];
    runs.push(value);
  }
  return runs;
}

// Spans [top, bottom) of each column that the region touches.
function columnsOf(text, height) {
  const columns = new Map();
  let position = 0;
  runLengths(text).forEach((length, place) => {
    if (place % 2) {
      let start = position;
      const end = position + length;
      while (start < end) {
        const x = Math.floor(start / height);
        const stop = Math.min(end, (x + 1) * height);
        if (!columns.has(x)) columns.set(x, []);
        columns.get(x).push([start - x * height, stop - x * height]);
        start = stop;
      }
    }
    position += length;
  });
  return columns;
}

// Parts of spans that only one of two columns has: there runs a vertical edge.
function onlyInOne(first, second) {
  const ends = [...first, ...second].flat().sort((a, b) => a - b);
  const parts = [];
  for (let place = 0; place + 1 < ends.length; place += 2) {
    if (ends[place] < ends[place + 1]) parts.push([ends[place], ends[place + 1]]);
  }
  return parts;
}

// Fill and outline of a region, or of a box where there is no region, in pixels of the image.
export function shapeOf(item) {
  const fill = new Path2D();
  const outline = new Path2D();
  if (!item.rle) {
    const [x1, y1, x2, y2] = item.box;
    fill.rect(x1, y1, x2 - x1, y2 - y1);
    outline.rect(x1, y1, x2 - x1, y2 - y1);
    return { fill, outline };
  }
  const columns = columnsOf(item.rle, item.image.height);
  for (const [x, spans] of columns) {
    for (const [top, bottom] of spans) {
      fill.rect(x, top, 1, bottom - top);
      for (const y of [top, bottom]) {
        outline.moveTo(x, y);
        outline.lineTo(x + 1, y);
      }
    }
    const edges = onlyInOne(columns.get(x - 1) ?? [], spans).map((part) => [x, part]);
    if (!columns.has(x + 1)) edges.push(...spans.map((part) => [x + 1, part]));
    for (const [at, [top, bottom]] of edges) {
      outline.moveTo(at, top);
      outline.lineTo(at, bottom);
    }
  }
  return { fill, outline };
}
