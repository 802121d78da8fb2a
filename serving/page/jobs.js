// Follows a change of the index until it is done.

import { call } from "./api.js";
import { fill, h } from "./dom.js";

const EVERY = 400;

/** Show a job's progress until it ends; says `done` then, or what went wrong. Returns it as it ended, null where it failed. */
export async function followJob(job, app, done) {
  const bar = h("progress", { max: 1, "aria-label": "Progress" });
  const words = h("span", {}, "Waiting for its turn…");
  const shown = h("div", { class: "note job" }, words, bar);
  app.notices.append(shown);
  try {
    let now = job;
    while (!["done", "failed"].includes(now.state)) {
      await new Promise((resolve) => { setTimeout(resolve, EVERY); });
      now = await call(`/v1/jobs/${encodeURIComponent(job.id)}`);
      fill(words, now.stage ? `${now.stage}${now.total ? `: ${now.done.toLocaleString("en")} of ${now.total.toLocaleString("en")}` : ""}` : "Waiting for its turn…");
      if (now.total) bar.value = now.done / now.total;
    }
    if (now.state === "failed") throw new Error(now.error.message);
    for (const { name, reason } of now.problems ?? []) app.note(`${name} could not be read: ${reason}`, "bad");
    app.note(done, "good");
    await app.changed();
    return now;
  } catch (error) {
    app.note(error.message, "bad");
    return null;
  } finally {
    shown.remove();
  }
}
