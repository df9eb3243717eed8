// Everything around the picture: question, numbers, classes, notes.

export const byId = (id) => document.getElementById(id);

const COUNTED = { confirm: "confirmed", reject: "rejected", reclass: "reclassed", skip: "skipped", missed: "missed", healthy: "healthy" };
const FLASHES = { confirm: "said-yes", reject: "said-no" };
const ORDER_NAMES = { any: "image by image", margin: "nearest to threshold", entropy: "most uncertain", mc_dropout: "dropout disagrees", k_centre: "most diverse", random: "random", class: "class by class" };

// Key of a class: 1 to 9, 0, then the same with shift.
export function classKey(place) {
  if (place >= 20) return "";
  return `${place >= 10 ? "⇧" : ""}${(place + 1) % 10}`;
}

export class Panel {
  constructor() {
    this.answerable = false; // only what is on the screen can be answered
    this.numbers = null;
    this.rows = new Map();
    this.timer = 0;
    this.flashing = false;
  }

  session(session, pick) {
    byId("who").textContent = session.annotator;
    byId("order").replaceChildren(
      ...session.orders.map((name) => new Option(ORDER_NAMES[name] ?? name, name, false, name === session.order)),
    );
    if (!pick) return;
    this.rows = new Map();
    const alone = session.classes.length < 2; // then there is no other, and the card only counts
    if (alone) byId("classes-title").textContent = "The only class";
    if (alone) byId("other").remove();
    byId("classes").replaceChildren(
      ...session.classes.map((name, place) => {
        const row = document.createElement("li");
        row.append(this.classButton(name, place, pick));
        if (alone) Object.assign(row.firstChild, { disabled: true }).querySelector("kbd").textContent = "";
        return row;
      }),
    );
  }

  classButton(name, place, pick, listed = true) {
    const button = document.createElement("button");
    button.className = "class";
    button.innerHTML = "<kbd></kbd><em></em><small></small>";
    button.querySelector("kbd").textContent = classKey(place);
    button.querySelector("em").textContent = name;
    button.title = name;
    button.addEventListener("click", () => {
      button.blur();
      pick(place);
    });
    if (listed) this.rows.set(name, button);
    return button;
  }

  question(item) {
    byId("question").hidden = false;
    byId("shown").textContent = item.class;
    byId("score").textContent = item.score === null ? "" : item.score.toFixed(2);
    byId("name").textContent = byId("name").title = item.image.name;
    byId("size").textContent = `${item.image.width} × ${item.image.height}`;
    for (const [name, row] of this.rows) row.classList.toggle("shown", name === item.class);
    this.answerable = false;
    this.closeChooser();
    this.finish("");
  }

  painted() {
    this.answerable = true;
    this.hint("");
  }

  loading() {
    this.hint("loading the image");
  }

  broken(sentence, title = "This picture cannot be shown") {
    this.hint("");
    this.finish(sentence, title);
  }

  finished(exhausted, session) {
    byId("question").hidden = true;
    this.answerable = false;
    if (exhausted) this.finish(`Every question of run ${session.run} in ${session.store} is answered by ${session.annotator}.`, "All done");
    else this.hint("waiting for the server");
  }

  finish(text, title) {
    byId("done")?.remove();
    if (!text) return;
    const box = document.createElement("div");
    box.id = "done";
    box.className = "done";
    box.append(Object.assign(document.createElement("h2"), { textContent: title }), Object.assign(document.createElement("p"), { textContent: text }));
    byId("stage").append(box);
    this.hint("");
  }

  flash(verdict) {
    const stage = byId("stage");
    stage.classList.remove("said-yes", "said-no", "said-other");
    requestAnimationFrame(() => requestAnimationFrame(() => stage.classList.add(FLASHES[verdict] ?? "said-other")));
  }

  // ---- numbers

  progress(numbers) {
    this.numbers = numbers;
    this.write();
  }

  count(verdict, name, step) {
    const numbers = this.numbers;
    if (!numbers) return;
    numbers[COUNTED[verdict]] += step;
    if (["confirm", "reject", "reclass"].includes(verdict)) numbers.answered += step;
    const row = numbers.classes[name];
    if (row && COUNTED[verdict] in row) row[COUNTED[verdict]] += step;
    this.write();
  }

  write() {
    const numbers = this.numbers;
    byId("answered").textContent = numbers.answered;
    byId("total").textContent = numbers.detections;
    const part = numbers.detections ? numbers.answered / numbers.detections : 0;
    byId("bar").style.width = `${100 * part}%`;
    byId("track").setAttribute("aria-valuemax", numbers.detections);
    byId("track").setAttribute("aria-valuenow", numbers.answered);
    byId("pace").textContent = numbers.answers_an_hour ? `${Math.round(numbers.answers_an_hour).toLocaleString("en")} an hour` : "";
    for (const name of Object.values(COUNTED)) byId(`n-${name}`).textContent = numbers[name];
    for (const [name, row] of this.rows) {
      const found = numbers.classes[name];
      const small = row.querySelector("small");
      if (!found?.detections && !found?.missed) {
        small.replaceChildren();
        continue;
      }
      const yes = Object.assign(document.createElement("b"), { textContent: `${found.confirmed + found.missed}` });
      const no = Object.assign(document.createElement("i"), { textContent: `${found.rejected + found.reclassed}` });
      small.replaceChildren(yes, " · ", no, ` of ${found.detections}`);
      small.title = `${found.confirmed} yes, ${found.missed} missed, ${found.rejected} no, ${found.reclassed} another class, ${found.detections} found`;
    }
  }

  saving(outbox) {
    const size = outbox.size;
    const trouble = size ? outbox.trouble : "";
    byId("saved").className = `saved ${trouble ? "failed" : size ? "waiting" : ""}`;
    byId("saved").title = trouble || (size ? "on the way to the disk" : "every answer is on the disk");
    byId("saved-text").textContent = trouble ? `${size} kept here` : size ? "saving" : "saved";
    if (trouble) this.note(`${size} ${size === 1 ? "answer is" : "answers are"} kept in this browser and sent later: ${trouble}`, 0);
    else if (this.troubled) this.note("");
    this.troubled = Boolean(trouble);
  }

  // ---- words on the stage

  hint(text) {
    byId("hint").hidden = !text;
    byId("hint").textContent = text;
  }

  note(text, milliseconds = 5000) {
    clearTimeout(this.timer);
    byId("note").hidden = !text;
    byId("note").textContent = text;
    if (text && milliseconds) this.timer = setTimeout(() => this.note(""), milliseconds);
  }

  openChooser(classes, shown, pick, [x, y] = [0, 1e6]) {
    const chooser = byId("chooser");
    if (!chooser.hidden) return this.closeChooser(); // a second press
    chooser.replaceChildren(
      ...classes.map((name, place) => {
        const button = this.classButton(name, place, (chosen) => {
          this.closeChooser();
          pick(chosen);
        }, false);
        button.classList.toggle("shown", name === shown);
        return button;
      }),
    );
    chooser.hidden = false;
    const stage = byId("stage");
    chooser.style.left = `${Math.max(8, Math.min(x, stage.clientWidth - chooser.offsetWidth - 8))}px`;
    chooser.style.top = `${Math.max(8, Math.min(y, stage.clientHeight - chooser.offsetHeight - 8))}px`;
  }

  closeChooser() {
    byId("chooser").hidden = true;
  }

  ask(title, text, value) {
    const dialog = byId("dialog");
    byId("dialog-title").textContent = title;
    byId("dialog-text").textContent = text;
    byId("dialog-input").value = value;
    dialog.returnValue = "";
    dialog.showModal();
    byId("dialog-input").select();
    return new Promise((resolve) => {
      dialog.addEventListener("close", () => resolve(dialog.returnValue === "ok" ? byId("dialog-input").value.trim() : ""), { once: true });
    });
  }
}
