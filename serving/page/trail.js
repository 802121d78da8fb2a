// Makes a trail of the steps of a search: which step brought which passage, from where, and what was taken.

/** The passages of a step that are drawn one by one; a step may bring a thousand. */
export const DRAWN = 40;

const INDEXES = {
  lexical: "by words", dense: "by meaning", entity: "by name", late: "word by word", docid: "by place in the tree",
};
const HOPS = [
  ["what mentions", "mentioned in"], ["mentions", "mentions"], ["names and phrases", "shared names"], ["before and after", "read on"],
];

/**
 * Return the trail of steps: {groups, taken, links, stop}.
 *
 * A group is a step that brings passages: {number, step, label, from, depth, passages}; `from` is the passage that it set
 * out from, null for the question. `taken` has, by passage, {order, number, step, depth}. `links` are passages whose
 * link was the reason for a take.
 */
export function trailOf(steps) {
  const groups = [];
  const taken = new Map();
  const depths = new Map();
  const links = [];
  let stop = null;
  steps.forEach((step, k) => {
    const number = k + 1;
    if (step.action === "take") {
      step.passages.forEach((passage, at) => {
        const from = named(step.reason, taken);
        if (from !== null) links.push({ from, to: passage, words: step.reason });
        taken.set(passage, { order: taken.size + 1, number, step, title: step.titles[at], depth: depths.get(passage) ?? 1 });
      });
    } else if (step.action === "stop") {
      stop = { number, step };
    } else {
      const from = named(step.detail, taken);
      const depth = (from === null ? 0 : taken.get(from).depth) + 1;
      const passages = step.passages.map((id, at) => ({ id, title: step.titles[at] }));
      for (const { id } of passages) if (!depths.has(id)) depths.set(id, depth);
      groups.push({ number, step, label: label(step), from, depth, passages });
    }
  });
  const brought = new Set(groups.flatMap((group) => group.passages.map(({ id }) => id)));
  for (const [id, { number, step, title }] of taken) {
    if (!brought.has(id)) groups.push({ number, step, label: "named outright", from: null, depth: 1, passages: [{ id, title }] });
  }
  return { groups, taken, links, stop };
}

/** Return the latest passage taken that words speak of in quotes, null for none. */
function named(words, taken) {
  const found = [...taken].filter(([, { title }]) => {
    const short = Array.from(title).slice(0, 50).join("");
    return words.includes(`“${title}”`) || words.includes(`“${short}”`);
  });
  return found.length ? found.at(-1)[0] : null;
}

/** Return a step in a word or three. */
function label({ action, detail }) {
  const page = /, page (\d+)$/.exec(detail);
  const asked = /ask the ([\w-]+) index/.exec(detail);
  let words = asked ? INDEXES[asked[1]] ?? asked[1] : detail;
  if (detail.startsWith("ask again")) words = "asked again";
  if (action === "hop") words = HOPS.find(([sign]) => detail.includes(sign))?.[1] ?? detail;
  return page ? `${words}, page ${page[1]}` : words;
}
