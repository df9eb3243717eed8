// Images of the next questions, decoded ahead; a few of the last ones stay, so that undo is instant.

import { getImage } from "./api.js";

const PIXELS = 80e6; // of decoded images that are kept, about 320 MB

const kept = new Map(); // image id -> { promise, bitmap, error, pixels }, least recently used first

export function prefetch(id) {
  const known = kept.get(id);
  if (known && !known.error) {
    kept.delete(id); // to the end: used just now
    kept.set(id, known);
    return known.promise;
  }
  const entry = { bitmap: null, error: null, pixels: 0 };
  entry.promise = load(id, entry);
  kept.set(id, entry);
  return entry.promise;
}

export function bitmapOf(id) {
  return kept.get(id)?.bitmap ?? null;
}

async function load(id, entry) {
  try {
    entry.bitmap = await createImageBitmap(await getImage(id));
    entry.pixels = entry.bitmap.width * entry.bitmap.height;
    forget();
    return entry.bitmap;
  } catch (error) {
    entry.error = error;
    throw error;
  }
}

function forget() {
  let total = 0;
  for (const entry of kept.values()) total += entry.pixels;
  for (const [id, entry] of kept) {
    if (total <= PIXELS || kept.size <= 8) break;
    total -= entry.pixels;
    kept.delete(id);
    entry.bitmap?.close();
  }
}
