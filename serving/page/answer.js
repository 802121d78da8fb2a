// What is answered: written by a model, stated by a passage, or the sentence that says most; and how sure that is.

import { button, h } from "./dom.js";
import { marked, part } from "./marks.js";
import { counted, cut, duration, likely, likelyDone, percent } from "./words.js";

const ENDED = {
  seconds: "The search was stopped when its time was up: this is what it had found.",
  steps: "The search was stopped at its limit of steps: this is what it had found.",
};

/** Return the answer of a result; `open(evidence, marks)` shows evidence in its document. */
export function answerOf(result, open) {
  const first = result.evidence[0];
  return h("section", { class: `answer${result.unanswered ? " doubted" : ""}`, "aria-labelledby": "answer-heading" },
    h("h2", { id: "answer-heading" }, "Answer"),
    result.unanswered ? h("p", { class: "doubt" }, h("strong", {}, "The corpus probably does not answer this."), " What follows is the nearest that was found.") : null,
    result.written ? written(result, open) : first ? read(result, first, open) : h("p", { class: "said" }, "Nothing was found."),
    h("p", { class: "sure" }, sureness(result)),
    ENDED[result.ended_by] ? h("p", { class: "sure" }, ENDED[result.ended_by]) : null);
}

function read(result, first, open) {
  const { answer } = result;
  const source = answer?.passage ? result.evidence.find((evidence) => evidence.passage.id === answer.passage) : null;
  if (answer?.stated) {
    return [
      h("p", { class: "said stated", dir: "auto" }, answer.text),
      h("p", { class: "origin" }, `Stated, ${likely(answer.probability)} right (${percent(answer.probability)})`,
        source ? [", in ", sourceButton(source, open, answerMark(source, answer))] : null),
    ];
  }
  const sentence = first.sentence ? part(first.passage.text, first.sentence.start, first.sentence.end) : first.passage.text.slice(0, 400);
  return [
    h("p", { class: "kind" }, "No passage states an answer. The sentence that says most:"),
    h("blockquote", { class: "said", dir: "auto" }, sentence),
    h("p", { class: "origin" }, "From ", sourceButton(first, open),
      answer ? h("span", {}, `. A guess: “${answer.text}” (${percent(answer.probability)}).`) : "."),
  ];
}

function answerMark({ passage }, { start, end }) {
  return [{ start: passage.start + start, end: passage.start + end, kind: "exact" }];
}

function sourceButton(evidence, open, marks) {
  return button(`[${evidence.rank}] ${cut(evidence.passage.title || evidence.passage.document_id, 70)}`, () => open(evidence, marks), { class: "plain", dir: "auto" });
}

function written({ written: { text, written_by, claims }, evidence }, open) {
  const ranked = new Map(evidence.map((one) => [one.rank, one]));
  const sentences = claims.length ? claims.map((claim) => h("span", { class: claim.problem ? "claim wrong" : "claim" },
    cited(claim.text, ranked, open),
    claim.problem ? h("em", { class: "problem" }, ` (unsupported: ${claim.problem})`) : null, " ")) : text;
  return [
    h("p", { class: "said written", dir: "auto" }, sentences),
    h("p", { class: "origin" }, `Written by ${written_by}; every citation was checked against its passage.`),
  ];
}

/** Return a sentence with a button for every citation of evidence that is there. */
function cited(text, ranked, open) {
  return text.split(/(\[[\d\s,;]+\])/).map((piece) => {
    const numbers = piece.startsWith("[") ? piece.match(/\d+/g) : null;
    if (!numbers) return piece;
    return numbers.map((number) => {
      const evidence = ranked.get(Number(number));
      return evidence ? button(`[${number}]`, () => open(evidence), { class: "plain cite", title: evidence.passage.title }) : `[${number}]`;
    });
  });
}

function sureness(result) {
  const cost = `${counted(result.calls, "call")} in ${duration(result.milliseconds)}, by ${result.answered_by}`;
  if (result.confidence === null || result.confidence === undefined) return `How complete the evidence is was not judged. ${cost}.`;
  return `The first five passages ${likelyDone(result.confidence)} hold all the evidence there is (${percent(result.confidence)}). ${cost}.`;
}

const SHORT = 700;

/** Return the text of evidence for a list, its best sentence marked: from the sentence before it on, or where it is to be short, from it on. */
export function snippet({ passage, sentence }, short = false) {
  if (!sentence) return [part(passage.text, 0, SHORT)];
  const earlier = passage.sentences.map(([start]) => start).filter((start) => start < sentence.start);
  const from = short ? sentence.start : sentence.start < 200 ? 0 : earlier.at(-1) ?? 0;
  const to = Math.max(from + SHORT, Math.min(sentence.end, from + 2 * SHORT));
  const shown = part(passage.text, from, to);
  const ends = Array.from(passage.text.slice(0, 2 * to + 2)).length <= to;
  return [from ? "… " : "", marked(shown, [{ ...sentence, kind: "sentence" }], from), ends ? "" : " …"];
}
