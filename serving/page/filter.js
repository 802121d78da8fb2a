// A filter over metadata as people type it: `year >= 2020, lang = en | de, tag contains draft, draft exists`.

const CONDITION = /^([\w.\- ]+?)\s*(>=|<=|!=|=|>|<|\bcontains\b|\bexists\b)\s*(.*)$/;
const OPERATORS = { ">=": "$gte", "<=": "$lte", ">": "$gt", "<": "$lt", "=": "$eq", "!=": "$ne", contains: "$contains" };

/** Return the filter as the server takes it, null for none. Throws an Error that says what cannot be read. */
export function metadataOf(text) {
  const typed = text.trim();
  if (!typed) return null;
  if (typed.startsWith("{")) {
    try {
      return JSON.parse(typed);
    } catch (error) {
      throw new Error(`The filter is no JSON: ${error.message}`);
    }
  }
  const filter = {};
  for (const condition of typed.split(",").map((one) => one.trim()).filter(Boolean)) {
    const found = CONDITION.exec(condition);
    if (!found || (found[2] !== "exists" && !found[3])) {
      throw new Error(`“${condition}” is no condition: write one like  year >= 2020  or  lang = en | de`);
    }
    const [, key, operator, value] = found;
    filter[key] = { ...filter[key], ...tested(operator, value) };
  }
  return filter;
}

function tested(operator, value) {
  if (operator === "exists") return { $exists: value.trim() !== "no" };
  const several = value.split("|").map((one) => valued(one.trim()));
  if (several.length > 1 && operator === "=") return { $in: several };
  if (several.length > 1 && operator === "!=") return { $nin: several };
  return { [OPERATORS[operator]]: valued(value.trim()) };
}

/** Return a number, a truth value, or text; quotes keep a number a text. */
function valued(word) {
  const quoted = /^"(.*)"$/.exec(word);
  if (quoted) return quoted[1];
  if (word === "true" || word === "false") return word === "true";
  return word !== "" && !Number.isNaN(Number(word)) ? Number(word) : word;
}
