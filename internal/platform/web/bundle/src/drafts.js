// Texts that are not saved, kept in the browser: by user, job and version.
const prefix = "flink-platform.workbench ";
const kept = 60 * 24 * 3600 * 1000; // ms

export class Drafts {
  // storage is localStorage, or null where the browser has none.
  constructor(storage, user, now = Date.now) {
    this.storage = storage;
    this.user = user;
    this.now = now;
    this.expire();
  }

  name({ job, version }) {
    return prefix + JSON.stringify([this.user, job, version]);
  }

  read(key) {
    try {
      const draft = JSON.parse(this.storage.getItem(this.name(key)));
      return typeof draft?.text === "string" ? draft : null;
    } catch {
      return null;
    }
  }

  // write reports whether the draft is kept. Without room for pasted data the text alone is.
  write(key, draft) {
    for (const part of [draft, { ...draft, data: {} }]) {
      try {
        this.storage.setItem(this.name(key), JSON.stringify({ ...part, at: this.now() }));
        return true;
      } catch {
        // full: once more without data
      }
    }
    return false;
  }

  remove(key) {
    try {
      this.storage.removeItem(this.name(key));
    } catch {
      // there is none
    }
  }

  // expire removes what has been left for two months.
  expire() {
    try {
      for (const name of Object.keys(this.storage)) {
        if (!name.startsWith(prefix)) continue;
        const { at } = JSON.parse(this.storage.getItem(name)) ?? {};
        if (!(this.now() - at < kept)) this.storage.removeItem(name);
      }
    } catch {
      // a draft that cannot be read stays
    }
  }
}
