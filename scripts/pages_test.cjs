// Opens the report's golden pages in Chromium, and checks what a person would see.
// usage: node scripts/pages_test.cjs CHROMIUM PAGES SCREENSHOTS
// PAGES has NAME.html, and NAME.json with the records whose figures the page shows.
"use strict";
const fs = require("node:fs");
const path = require("node:path");
const { pathToFileURL } = require("node:url");
const { chromium } = require("playwright-core");
const axe = require("axe-core");

const [executablePath, pages, screenshots] = process.argv.slice(2);
const timeout = 300_000; // Milliseconds; on a busy machine the usual 30 seconds are too short.
const faults = [];
const check = (isRight, what) => isRight || faults.push(what);

const looks = {
  light: { viewport: { width: 1280, height: 1250 }, colorScheme: "light" },
  dark: { viewport: { width: 1280, height: 900 }, colorScheme: "dark" },
  phone: { viewport: { width: 375, height: 800 }, colorScheme: "light", isMobile: true, hasTouch: true },
  "no-script": { viewport: { width: 1280, height: 900 }, colorScheme: "light", javaScriptEnabled: false },
};

// open opens a page in a new context, and notes whatever it says, asks for or runs into.
async function open(browser, name, look) {
  const context = await browser.newContext(looks[look]);
  context.setDefaultTimeout(timeout);
  const page = await context.newPage();
  const where = `${name}, ${look}`;
  const url = pathToFileURL(path.resolve(pages, `${name}.html`)).href;
  page.on("console", (message) => faults.push(`${where}: the console says: ${message.text()}`));
  page.on("pageerror", (error) => faults.push(`${where}: ${error}`));
  page.on("dialog", (dialog) => faults.push(`${where}: a dialog: ${dialog.message()}`));
  page.on("request", (request) => check(request.url() === url, `${where}: asks for ${request.url()}`));
  const start = performance.now();
  await page.goto(url);
  return { context, page, where, milliseconds: performance.now() - start };
}

async function checkAccessible(page, where) {
  await page.evaluate(axe.source); // The browser's debugger is not held by the page's policy.
  const { violations, passes } = await page.evaluate(() => axe.run());
  for (const { id, help, nodes } of violations) faults.push(`${where}: ${id}: ${help}: ${nodes.map((n) => n.html.slice(0, 200)).join(" | ")}`);
  for (const rule of ["color-contrast", "landmark-one-main", "page-has-heading-one", "svg-img-alt", "document-title"]) {
    const isShown = rule !== "svg-img-alt" || (await page.locator("svg").count()) > 0;
    check(!isShown || passes.some((pass) => pass.id === rule), `${where}: axe has not tried ${rule}`);
  }
}

async function checkFits(page, where) {
  const [wide, room] = await page.evaluate(() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]);
  check(wide <= room, `${where}: ${wide} pixels wide in ${room}`);
}

const figures = (text) => (text.match(/\d[\d,]*(\.\d+)?/g) ?? []).map((figure) => Number(figure.replaceAll(",", "")));

// shown is the record that a night of the page is made of.
async function shown(night, records) {
  const text = await night.innerText();
  const day = (run) => new Date(run.startedAt).toLocaleDateString("en-GB", { day: "numeric", month: "long", year: "numeric", timeZone: "UTC" });
  return records.findLast((run) => text.includes(run.run) && text.includes(` ${day(run)}, `));
}

// Each card has the figures of the record: images, GiB, dollars a month.
async function checkFigures(page, where, records) {
  const nights = await page.locator("main > section:has(.cards)").all();
  check(nights.length > 0, `${where}: no night`);
  for (const night of nights) {
    const run = await shown(night, records);
    if (!run) {
      faults.push(`${where}: a night without a record: ${(await night.innerText()).slice(0, 200)}`);
      continue;
    }
    const sums = run.totals.amounts;
    const images = (run.regions ?? []).flatMap((region) => region.images ?? []).length;
    const [total] = figures(await night.locator(".card").first().innerText());
    check(total === images, `${where}: ${total} AMIs in all, and ${images} in the record`);
    const wanted = { "Still due": sums.due, Due: sums.due, Announced: sums.announced, Kept: sums.kept, Removed: sums.removed, "Would be removed": sums.wouldRemove };
    let isSeen = 0;
    for (const card of await night.locator(".card").all()) {
      const [title, images, gib, dollars] = (await card.innerText()).split("\n");
      if (!(title in wanted)) continue;
      const amount = wanted[title] ?? {};
      isSeen++;
      const want = [amount.images ?? 0, Math.round(amount.gib ?? 0), amount.monthlyUpTo ?? 0];
      const got = [...figures(images), ...figures(gib), ...figures(dollars)];
      check(JSON.stringify(got) === JSON.stringify(want), `${where}: ${title} is ${got}, and ${want} in the record`);
    }
    check(isSeen >= 3, `${where}: ${isSeen} cards`);
    if (images === 0) continue;
    const [all] = figures(await night.locator("table.bars tbody td").first().innerText());
    check(all === images, `${where}: the waterfall begins with ${all} AMIs of ${images}`);
  }
}

// The rows of "What goes", or of the accounts, can be sorted and filtered.
async function checkTable(page, where) {
  const table = page.locator("table.sortable").first();
  if ((await table.count()) === 0) return;
  for (const column of ["GiB", "$ a month", where.startsWith("organization,") ? "Due" : "Days idle"]) {
    for (const sign of [1, -1]) {
      await table.getByRole("button", { name: column }).click();
      const got = await table.locator(`td[data-label="${column}"]`).evaluateAll((cells) => cells.map((cell) => Number(cell.dataset.raw)));
      check(got.every((value, n) => n === 0 || sign * value >= sign * got[n - 1]), `${where}: sorted by ${column}: ${got}`);
    }
  }
  const rows = await table.locator("tbody tr").count();
  const id = await table.locator("tbody tr code").first().innerText();
  const filter = page.getByRole("searchbox").first();
  await filter.fill(id);
  const left = await table.locator("tbody tr:visible").count();
  check(left >= 1 && (left < rows || rows === 1), `${where}: ${left} of ${rows} rows have ${id}`);
  await filter.fill("");
}

async function checkHarmless(page, where) {
  const [scripts, others] = await page.evaluate(() => [
    document.scripts.length,
    document.querySelectorAll("img, iframe, object, embed, link, base, form, [onerror], [onclick], [onload]").length,
  ]);
  check(scripts === 1 && others === 0, `${where}: ${scripts} scripts, ${others} elements that are not the page's`);
}

async function checkPrint(page, where, file) {
  await page.emulateMedia({ media: "print" });
  check(!(await page.locator("nav").isVisible()), `${where}: the navigation is printed`);
  const pdf = await page.pdf({ format: "A4", path: file });
  check(pdf.length > 10_000, `${where}: printed in ${pdf.length} bytes`);
  await page.emulateMedia({ media: "screen" });
}

async function checkPage(browser, name) {
  const recorded = path.join(pages, `${name}.json`);
  check(fs.statSync(path.join(pages, `${name}.html`)).size < 5_000_000, `${name}: more than 5 MB`);
  const said = [];
  for (const look of Object.keys(looks)) {
    const { context, page, where, milliseconds } = await open(browser, name, look);
    if (name === "sample" && look === "light") await page.screenshot({ path: path.join(screenshots, "report.png") });
    await checkFits(page, where);
    await checkHarmless(page, where);
    if (look === "light" && fs.existsSync(recorded)) await checkFigures(page, where, JSON.parse(fs.readFileSync(recorded, "utf8")));
    await page.screenshot({ path: path.join(screenshots, `${name}-${look}.png`), fullPage: name !== "large" });
    if (look === "light") await checkPrint(page, where, path.join(screenshots, `${name}.pdf`));
    if (looks[look].javaScriptEnabled !== false) {
      if (look !== "phone") await checkTable(page, where);
      await checkAccessible(page, where);
    }
    said.push(`${look} ${Math.round(milliseconds)} ms`);
    await context.close();
  }
  console.log(`pages: ${name}: opened in ${said.join(", ")}`);
}

async function main() {
  if (!executablePath) throw new Error("no browser: install Debian's package chromium, or Google Chrome");
  fs.mkdirSync(screenshots, { recursive: true });
  // Its sandbox needs rights that containers lack; the pages are ours.
  const browser = await chromium.launch({ executablePath, timeout, args: ["--no-sandbox"] });
  const names = fs.readdirSync(pages).filter((file) => file.endsWith(".html")).map((file) => path.basename(file, ".html"));
  check(names.length >= 7, `only ${names.length} pages`);
  for (const name of names) await checkPage(browser, name).catch((error) => faults.push(`${name}: ${error}`));
  console.log(`pages: ${names.length} pages in Chromium ${browser.version()}, ${faults.length} faults`);
  await browser.close();
}

main()
  .catch((error) => faults.push(error.message))
  .then(() => {
    for (const fault of faults) console.error(`pages: ${fault}`);
    process.exit(faults.length === 0 ? 0 : 1);
  });
