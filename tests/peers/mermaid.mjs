// Reads flowcharts with Mermaid itself, one a line, and tells what it found in each.
import { createInterface } from 'node:readline';
import { JSDOM } from 'jsdom';

globalThis.window = new JSDOM('').window; // Mermaid cleans texts with the browser's means.
globalThis.document = window.document;
const { default: mermaid } = await import('mermaid');

// Mermaid keeps `#34;` in a form of its own until it draws.
const drawn = (text) =>
  (text ?? '').replace(/ﬂ°°(\d+)¶ß/g, (_, code) => String.fromCodePoint(Number(code)));

for await (const line of createInterface({ input: process.stdin })) {
  try {
    const { flowchart } = JSON.parse(line);
    await mermaid.parse(flowchart);
    const { type, db } = await mermaid.mermaidAPI.getDiagramFromText(flowchart);
    const nodes = [...db.getVertices().values()].map(({ id, text }) => ({ id, text: drawn(text) }));
    const edges = db.getEdges().map(({ start, end, text }) => ({ start, end, text: drawn(text) }));
    console.log(JSON.stringify({ saw: 'diagram', type, nodes, edges }));
  } catch (error) {
    console.log(JSON.stringify({ saw: 'diagram', error: String(error) }));
  }
}
process.exit(0);
