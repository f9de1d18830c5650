// Opens the page in headless Chromium and lets it continue texts, as a visitor would.
//
//   echo '"To be, or not to be"' | node drive.mjs CHROMIUM MODEL [PICTURE]
//
// A JSON string a line in, a JSON string a line out. The page is served with MODEL as its folder model. PICTURE is a file for a
// picture of the first text. Ends with 1 where the page says anything on its console, which it never should.
import { createReadStream } from 'node:fs';
import { createServer } from 'node:http';
import { extname, join, normalize } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import puppeteer from 'puppeteer-core';

const [chromium, model, picture] = process.argv.slice(2);
const root = fileURLToPath(new URL('.', import.meta.url));
const types = { '.html': 'text/html', '.mjs': 'text/javascript', '.wasm': 'application/wasm', '.json': 'application/json' };
const complaints = [];
const PATIENCE = 120_000; // milliseconds, for machines with much else to do

const server = createServer(({ url }, response) => {
  const path = normalize(decodeURIComponent(new URL(url, 'http://localhost').pathname));
  const file = path.startsWith('/model/') ? join(model, path.slice('/model'.length)) : join(root, path);
  response.setHeader('Content-Type', types[extname(file)] ?? 'application/octet-stream');
  createReadStream(file).on('error', () => response.writeHead(404).end()).pipe(response);
}).listen(0, '127.0.0.1');
const browser = await puppeteer.launch({
  executablePath: chromium,
  args: ['--no-sandbox', '--disable-gpu'],
  timeout: PATIENCE,
});
try {
  const page = await browser.newPage();
  page.setDefaultTimeout(PATIENCE);
  await page.setViewport({ width: 760, height: 660 });
  page.on('console', (message) => complaints.push(`${message.type()}: ${message.text()}`));
  page.on('pageerror', (error) => complaints.push(`${error}`));
  page.on('requestfailed', (request) => complaints.push(`${request.url()}: ${request.failure().errorText}`));
  await page.goto(`http://127.0.0.1:${server.address().port}/index.html`);
  await page.waitForSelector('#write:not([disabled])');
  let left = picture;
  for await (const line of createInterface({ input: process.stdin })) {
    await page.$eval('#prompt', (field, value) => (field.value = value), JSON.parse(line));
    await page.click('#write');
    await page.waitForSelector('#write:not([disabled])');
    console.log(JSON.stringify(await page.$eval('#text', (text) => text.textContent)));
    if (left) {
      await page.screenshot({ path: left });
      left = undefined;
    }
  }
  console.error(await page.$eval('#status', (status) => status.textContent));
} catch (error) {
  complaints.push(`${error}`);
} finally {
  await browser.close();
  server.close();
}
complaints.forEach((complaint) => console.error(complaint));
process.exitCode = complaints.length ? 1 : 0;
