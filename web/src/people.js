// People: what others publish about themselves and what we publish: names, pictures, how far we have read.
// Spec: XEP-0172, 0084, 0490 over 0163.
// Owns: the profiles by address, and our own. Not here: the stanzas (`features/pep`), who is there (`features/presence`).

import { makePresence } from "./features/presence.js";
import { NS } from "./xmpp/ns.js";

export class People {
  #own;
  #rooms;
  #tell;

  constructor({ own, rooms, tell, me, profiles }) {
    this.#own = own;
    this.#rooms = rooms;
    this.#tell = tell;
    this.me = me ?? {};
    this.profiles = new Map(profiles ?? []);
  }

  /** Changes what others see of us: `{ nick, show, status, picture }`; what is left out stays. */
  async setMe(changes, connection) {
    const { pep, settings, pictures } = this.#rooms;
    const me = { ...this.me };
    if (changes.nick !== undefined) {
      await pep.setNick(changes.nick);
      me.nick = changes.nick;
    }
    if (changes.picture !== undefined) {
      me.picture = await pep.setPicture(changes.picture);
      if (changes.picture) await pictures.put(me.picture, changes.picture);
    }
    for (const name of ["show", "status"]) if (changes[name] !== undefined) me[name] = changes[name];
    this.me = me;
    await settings.set("me", me);
    connection.send(await makePresence(me));
    this.#tell({ kind: "me", me });
  }

  /** Asks what someone publishes, and ourselves: from another device of ours it may have changed. */
  async fetch(jid) {
    for (const node of [NS.nick, NS.avatarMeta]) {
      const event = await this.#rooms.pep.fetch(jid, node);
      if (event) await this.published({ ...event, jid });
    }
  }

  /** Someone published something, as `features/pep` read it. */
  async published(event) {
    const { settings, history, pictures, pep } = this.#rooms;
    if (event.kind === "read") {
      // XEP-0490 section 6: only our own account says what we have read.
      if (event.jid !== this.#own) return;
      for (const [peer, sid] of event.until) {
        if (sid && (await history.readUntil(peer, sid))) this.#tell({ kind: "conversation", peer });
      }
      return;
    }
    const profile = { ...this.profiles.get(event.jid) };
    if (event.kind === "nick") profile.nick = event.nick;
    else {
      if (event.hash && !(await pictures.get(event.hash))) {
        // Outside the order of stanzas: the answer stands behind this one.
        pep.picture(event.jid, event.hash).then(async (picture) => {
          if (!picture) return;
          await pictures.put(event.hash, picture);
          this.#tell({ kind: "profile", jid: event.jid, profile: this.profiles.get(event.jid) });
        }, console.error);
      }
      profile.picture = event.hash;
    }
    this.profiles.set(event.jid, profile);
    if (event.jid === this.#own) {
      this.me = { ...this.me, ...profile };
      await settings.set("me", this.me);
      this.#tell({ kind: "me", me: this.me });
    }
    await settings.set("profiles", [...this.profiles]);
    this.#tell({ kind: "profile", jid: event.jid, profile });
  }
}
