// Picture: a file that someone chose, as a small square that can be published.
// Spec: XEP-0084 (PNG is what everyone reads). Bounds: [`SIDE`], [`BYTES_MAX`].

/** Pixels of a side. */
const SIDE = 192;
/** Bytes that a published picture may have: with base64 it stays well inside a stanza. */
const BYTES_MAX = 96 * 1024;

/** `{ type, bytes, side }` of an image file: its middle, square, small. Throws when it is no image. */
export async function squarePicture(file) {
  const image = await createImageBitmap(file);
  const side = Math.min(image.width, image.height);
  const canvas = new OffscreenCanvas(SIDE, SIDE);
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(image, (image.width - side) / 2, (image.height - side) / 2, side, side, 0, 0, SIDE, SIDE);
  image.close();
  for (const [type, quality] of [["image/png"], ["image/jpeg", 0.9], ["image/jpeg", 0.7]]) {
    const blob = await canvas.convertToBlob({ type, quality });
    if (blob.size <= BYTES_MAX || quality === 0.7) return { type, bytes: new Uint8Array(await blob.arrayBuffer()), side: SIDE };
  }
  throw new Error("unreachable: the last try returns");
}
