import { randomBytes } from "node:crypto";
import type { Clock } from "./clock.ts";
import { crashpoint } from "./crashpoint.ts";
import { DaemonError } from "./errors.ts";
import { acknowledgementPath, createLatch, LatchReader, latchPath, syncLatch, writeLatch } from "./latch-file.ts";
import { fitting, isSame, keptIn, type LatchNote, type LatchReading, whatIsWrong } from "./latch-note.ts";
import type { Store } from "./store/store.ts";

const LOOK_MS = 100;
/** So many looks between two tries to write a file again that does not say what it should. */
const REPAIR_LOOKS = 50;
/** control.db's names: what the latch is, and that a file of it was made. */
const META = "latch";
const META_FILE = "latchFile";

export interface LatchState extends LatchNote {
  /** What keeps it from lasting as it should. */
  readonly reason?: string;
  /** Neither the file nor control.db took it: a restart would forget it. */
  readonly forgetful?: true;
}

const RECORD_WAIT_MS = 1000;

interface Deps {
  readonly directory: string;
  readonly control: Pick<Store["control"], "state" | "change">;
  readonly clock: Pick<Clock, "wallMs">;
  /** Told once of each stop and each release, whoever caused it. */
  readonly onChange: (state: LatchState) => void;
  /** Resolves when what `onChange` was told is in the log on disk. */
  readonly recorded?: () => Promise<void>;
  readonly onProblem?: (problem: string) => void;
  readonly newNonce?: () => string;
}

/**
 * Whether effects may leave. It is a file of one block and a line of control.db: either says latched = latched, and what
 * can not be read is latched. The file is looked at before each effect, so a hand that writes it needs nobody's help.
 */
export class Latch {
  readonly name = "latch";
  /** Resolves when nothing that passed the gate before can still leave; set by whoever lets effects leave. */
  settle: () => Promise<void> = async () => undefined;
  readonly #deps: Deps;
  readonly #path: string;
  readonly #file: LatchReader;
  readonly #newNonce: () => string;
  #note: LatchNote;
  #problem: string | undefined;
  #isForgetful = false;
  #isReleasing = false;
  #looksUntilRepair = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(deps: Deps) {
    this.#deps = deps;
    this.#path = latchPath(deps.directory);
    this.#file = new LatchReader(this.#path);
    this.#newNonce = deps.newNonce ?? (() => randomBytes(8).toString("hex"));
    this.#note = this.#stopped("the daemon is starting");
  }

  async start(): Promise<void> {
    const { meta, pointer } = await this.#deps.control.state();
    const kept = keptIn(meta[META]);
    let reading = this.#file.read();
    // A control.db that has lived before and knows of no file is of a version that had none.
    const hadNone = meta[META_FILE] !== "yes" && kept === undefined && pointer !== undefined;
    if (reading.kind === "missing" && hadNone) reading = this.#create();
    const note = this.#firstNote(reading, kept);
    const isOnDisk = reading.kind === "read" && isSame(reading.note, note);
    const isNews = note.nonce !== kept?.nonce && note.latched;
    this.#note = note;
    if (isNews) this.#deps.onChange(this.state());
    await this.#keep(note, isOnDisk ? undefined : "file", kept);
    if (meta[META_FILE] !== "yes") await this.#change(META_FILE, "yes");
    if (note.latched) void this.#acknowledge(note);
    this.#timer = setInterval(() => this.#patrol(), LOOK_MS);
    this.#timer.unref();
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
  }

  /** Asked before each effect. `afresh`: looks at the file even where the answer is known. */
  isLatched(afresh = false): boolean {
    if (this.#note.latched && !afresh) return true;
    const reading = this.#file.read();
    if (reading.kind === "read") {
      const { note } = reading;
      if (note.latched && !isSame(note, this.#note)) this.#adopt(note);
    } else if (reading.kind === "blind") return true;
    else if (!this.#note.latched) this.#adopt(this.#stopped(whatIsWrong(reading)), "file");
    return this.#note.latched;
  }

  state(): LatchState {
    const { latched, why, by, at, nonce } = this.#note;
    return {
      ...{ latched, why, by, at, nonce },
      ...(this.#problem === undefined ? {} : { reason: this.#problem }),
      ...(this.#isForgetful ? { forgetful: true as const } : {}),
    };
  }

  /** Stops effects at once; resolves when that lasts. A second stop is a latch of its own. */
  async latch(why: string, by: string): Promise<LatchState> {
    const note = fitting({ latched: true, why, by, at: this.#deps.clock.wallMs(), nonce: this.#newNonce() });
    this.#note = note;
    this.#deps.onChange(this.state());
    await this.#keep(note, "file");
    void this.#acknowledge(note);
    await this.#recorded();
    return this.state();
  }

  /**
   * Lets effects leave again. With a nonce only the latch that it names; never one that was set meanwhile. A crash in
   * between leaves it latched, since the file is written last.
   */
  async release(by: string, nonce?: string): Promise<LatchState> {
    this.#isReleasing = true;
    try {
      return await this.#release(by, nonce);
    } finally {
      this.#isReleasing = false;
    }
  }

  async #release(by: string, nonce: string | undefined): Promise<LatchState> {
    const latched = this.#note;
    if (!this.isLatched(true)) return this.state();
    this.#assertStill(latched, nonce);
    const note = fitting({ ...latched, latched: false, why: "released", by, at: this.#deps.clock.wallMs() });
    crashpoint("latch.release.before");
    const problem = await this.#change(META, JSON.stringify(note));
    crashpoint("latch.release.control");
    if (problem !== undefined) throw new DaemonError("LATCH_NOT_RELEASED", { reason: problem });
    this.isLatched(true);
    this.#assertStill(latched, nonce);
    try {
      writeLatch(this.#path, note);
      crashpoint("latch.release.file");
      await syncLatch(this.#path);
    } catch (cause) {
      const hint = "Remove what lies there instead of the file, and release again.";
      throw new DaemonError("LATCH_NOT_RELEASED", { file: this.#path }, { cause, hint });
    }
    this.isLatched(true);
    this.#assertStill(latched, nonce);
    this.#note = note;
    this.#problem = undefined;
    this.#isForgetful = false;
    this.#deps.onChange(this.state());
    crashpoint("latch.release.after");
    await this.#recorded();
    return this.state();
  }

  /** Who stopped or released is in the log before they hear of it; a disk that takes nothing keeps nobody waiting long. */
  async #recorded(): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, RECORD_WAIT_MS);
    });
    await Promise.race([this.#deps.recorded?.(), late]);
    clearTimeout(timer);
  }

  #assertStill(latched: LatchNote, nonce: string | undefined): void {
    const now = this.#note;
    if (now.nonce === latched.nonce && (nonce === undefined || nonce === now.nonce)) return;
    const hint = "Look at it again: holdfast status.";
    throw new DaemonError("LATCH_NONCE", { latch: now.nonce, why: now.why, by: now.by }, { hint });
  }

  /** While it is set, the file has to say so, also after it was removed: then a lost control.db costs nothing. */
  #patrol(): void {
    if (!this.isLatched(true) || this.#isReleasing) return;
    if (this.#looksUntilRepair > 0) {
      this.#looksUntilRepair -= 1;
      return;
    }
    const reading = this.#file.read();
    if (reading.kind === "blind" || (reading.kind === "read" && isSame(reading.note, this.#note))) return;
    this.#looksUntilRepair = REPAIR_LOOKS;
    try {
      writeLatch(this.#path, this.#note);
    } catch (error) {
      this.#deps.onProblem?.(`the latch file could not be written: ${messageOf(error)}`);
    }
  }

  /** The file says so: somebody wrote it, or it is not what the daemon left there. */
  #adopt(note: LatchNote, write?: "file"): void {
    this.#note = note;
    this.#deps.onChange(this.state());
    void this.#keep(note, write).then(() => this.#acknowledge(note));
  }

  /** Writes the file first and then control.db; what fails is told, and does not keep the other from being written. */
  async #keep(note: LatchNote, write: "file" | undefined, kept?: LatchNote): Promise<void> {
    const problems: string[] = [];
    if (write === "file") {
      try {
        crashpoint("latch.file.before");
        writeLatch(this.#path, note);
        crashpoint("latch.file.written");
        await syncLatch(this.#path);
        crashpoint("latch.file.after");
      } catch (error) {
        problems.push(`the latch file could not be written: ${messageOf(error)}`);
      }
    }
    const fileFailed = problems.length > 0;
    crashpoint("latch.control.before");
    const problem =
      kept !== undefined && isSame(kept, note) ? undefined : await this.#change(META, JSON.stringify(note));
    crashpoint("latch.control.after");
    if (problem !== undefined) problems.push(problem);
    // Another stop or a release may have come meanwhile, with problems of its own.
    if (this.#note !== note) return;
    this.#problem = problems.length === 0 ? undefined : problems.join("; ");
    this.#isForgetful = fileFailed && problem !== undefined;
    if (this.#problem !== undefined) this.#deps.onProblem?.(this.#problem);
  }

  async #change(name: string, value: string): Promise<string | undefined> {
    try {
      await this.#deps.control.change({ kind: "meta", name, value });
      return undefined;
    } catch (error) {
      return `control.db could not be written: ${messageOf(error)}`;
    }
  }

  async #acknowledge(note: LatchNote): Promise<void> {
    try {
      await this.settle();
      // Only now: whoever waits for this may rely on it that nothing leaves any more.
      if (this.#note.nonce === note.nonce) writeLatch(acknowledgementPath(this.#deps.directory), note);
    } catch (error) {
      this.#deps.onProblem?.(`the stop could not be acknowledged: ${messageOf(error)}`);
    }
  }

  #create(): LatchReading {
    try {
      createLatch(this.#deps.directory, this.#deps.clock.wallMs());
    } catch (error) {
      this.#deps.onProblem?.(`the latch file could not be made: ${messageOf(error)}`);
    }
    return this.#file.read();
  }

  #firstNote(reading: LatchReading, kept: LatchNote | undefined): LatchNote {
    if (reading.kind === "read") return !reading.note.latched && kept?.latched === true ? kept : reading.note;
    return kept?.latched === true ? kept : this.#stopped(whatIsWrong(reading));
  }

  #stopped(why: string): LatchNote {
    return { latched: true, why, by: "holdfast", at: this.#deps.clock.wallMs(), nonce: this.#newNonce() };
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
