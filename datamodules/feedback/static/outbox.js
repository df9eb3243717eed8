// Answers on their way: in localStorage from the key press until the server has committed them.
//
// Entries are named by run and time, so that they are sent in the order they were given, by this page or, after a
// crash, by the next one. Two tabs may send the same entry: its client id makes the second one harmless.

import { postAnswers } from "./api.js";

const BATCH = 20;
const LONGEST_WAIT = 4000; // ms between two attempts

let counter = 0;

export class Outbox {
  constructor(run, runKey, onChange, onRefused) {
    this.run = run;
    this.runKey = runKey;
    this.prefix = `appraise/answer/${runKey}/`;
    this.onChange = onChange;
    this.onRefused = onRefused;
    this.wait = 0;
    this.trouble = "";
    this.sending = null;
  }

  put(answer) {
    const time = String(Date.now()).padStart(15, "0");
    const place = String(counter++).padStart(7, "0");
    localStorage.setItem(`${this.prefix}${time}-${place}-${answer.client_id}`, JSON.stringify(answer));
    this.onChange();
  }

  names() {
    const names = [];
    for (let place = 0; place < localStorage.length; place++) {
      const name = localStorage.key(place);
      if (name.startsWith(this.prefix)) names.push(name);
    }
    return names.sort();
  }

  answers() {
    return this.names().map((name) => JSON.parse(localStorage.getItem(name)));
  }

  get size() {
    return this.names().length;
  }

  // Sends until nothing is left; whoever calls in the meantime waits for the same promise.
  flush() {
    this.sending ??= this.drain().finally(() => {
      this.sending = null;
    });
    return this.sending;
  }

  async drain() {
    for (;;) {
      const names = this.names().slice(0, BATCH);
      if (!names.length) break;
      const pairs = names.map((name) => [name, localStorage.getItem(name)]).filter(([, text]) => text !== null);
      if (await this.send(pairs)) {
        this.wait = 0;
      } else {
        this.wait = Math.min(LONGEST_WAIT, this.wait ? this.wait * 2 : 250);
        this.onChange();
        await new Promise((resolve) => setTimeout(resolve, this.wait));
      }
    }
    this.trouble = "";
    this.onChange();
  }

  async send(pairs) {
    let reply;
    try {
      const answers = pairs.map(([, text]) => JSON.parse(text));
      reply = await postAnswers({ run: this.run, run_key: this.runKey, answers });
    } catch {
      this.trouble = "the server does not answer; it may be stopped";
      return false;
    }
    for (const result of reply.results) {
      const pair = pairs.find(([, text]) => JSON.parse(text).client_id === result.client_id);
      if (!pair) continue;
      localStorage.removeItem(pair[0]); // committed, or refused for good
      if (!result.saved) this.onRefused(JSON.parse(pair[1]), result.detail);
    }
    this.trouble = reply.results.length === pairs.length ? "" : reply.detail || `status ${reply.status}`;
    this.onChange();
    return reply.results.length > 0 || this.trouble === "";
  }
}
