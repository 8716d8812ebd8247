/** A plot of keyvol's speed as a multiple of each other system's: one row a job, a dot a system. */
import type { Turn } from './results.js';
import { choose, distinct, ratioOf, type Spread } from './statistics.js';

const labelPx = 260;
const plotPx = 560;
const rowPx = 22;
const headPx = 46;
const marginPx = 16;
const [least, most] = [0.03, 100];
const marks = [0.1, 0.5, 1, 2, 5, 10, 50];
const colours = ['#d1495b', '#edae49', '#2a7f9e', '#555555', '#7b5ea7', '#66a182'];

/** An SVG, with medians as dots and least to most as lines, on a logarithmic scale. */
export function plot(turns: readonly Turn[]): string {
  const measured = turns.filter(({ suite }) => suite === 'raw' || suite === 'ext4');
  const others = distinct(measured, 'subject').filter((subject) => subject !== 'keyvol');
  let topPx = 40;
  const parts = [legend(others)];
  for (const suite of distinct(measured, 'suite')) {
    for (const backing of distinct(choose(measured, { suite }), 'backing')) {
      const here = choose(measured, { suite, backing });
      const title = `${suite === 'raw' ? 'The file itself' : 'ext4 over loop'}, on ${
        backing === 'RAM' ? 'RAM' : 'a real file'
      }`;
      parts.push(panel(here, title, others, topPx));
      topPx += headPx + rowPx * distinct(here, 'job').length;
    }
  }
  const [width, height] = [labelPx + plotPx + 2 * marginPx, topPx + marginPx];
  const open = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="12">`;
  const ground = `<rect width="${width}" height="${height}" fill="white"/>`;
  return [open, ground, ...parts, '</svg>', ''].join('\n');
}

function legend(others: readonly string[]): string {
  const items = others.map((name, index) => {
    const left = labelPx + index * 110;
    return `${dot(left, 20, colourOf(index))}${text(left + 10, 24, name)}`;
  });
  return [
    text(marginPx, 24, 'keyvol’s speed as a multiple of:', 'font-weight="bold"'),
    ...items,
  ].join('\n');
}

function panel(
  turns: readonly Turn[],
  title: string,
  others: readonly string[],
  topPx: number,
): string {
  const names = distinct(turns, 'job');
  const bottomPx = topPx + headPx + rowPx * names.length;
  const grid = marks.map((mark) => {
    const style = mark === 1 ? 'stroke="#222"' : 'stroke="#ddd"';
    const line = `<line x1="${x(mark)}" x2="${x(mark)}" y1="${topPx + 28}" y2="${bottomPx - 10}" ${style}/>`;
    return `${line}${text(x(mark), topPx + 22, `${mark}×`, 'text-anchor="middle" fill="#666"')}`;
  });
  const rows = names.map((job, index) => {
    const middlePx = topPx + headPx + rowPx * index;
    const ours = choose(turns, { job, subject: 'keyvol' });
    const dots = others.map((subject, place) =>
      whisker(ratioOf(ours, choose(turns, { job, subject })), middlePx, colourOf(place)),
    );
    return `${text(marginPx, middlePx + 4, job)}${dots.join('')}`;
  });
  return [text(marginPx, topPx + 22, title, 'font-weight="bold"'), ...grid, ...rows].join('\n');
}

function whisker(ratio: Spread | undefined, y: number, colour: string): string {
  if (ratio === undefined) return '';
  const range = `x1="${x(ratio.least)}" x2="${x(ratio.most)}" y1="${y}" y2="${y}"`;
  return `<line ${range} stroke="${colour}" stroke-width="2"/>${dot(x(ratio.median), y, colour)}`;
}

function x(ratio: number): number {
  const within = Math.min(most, Math.max(least, ratio));
  const share = Math.log(within / least) / Math.log(most / least);
  return Math.round(10 * (labelPx + share * plotPx)) / 10;
}

function dot(left: number, y: number, colour: string): string {
  return `<circle cx="${left}" cy="${y}" r="4.5" fill="${colour}"/>`;
}

function text(left: number, y: number, words: string, style = ''): string {
  return `<text x="${left}" y="${y}" ${style}>${words}</text>`;
}

function colourOf(index: number): string {
  return colours[index % colours.length] ?? 'black';
}
