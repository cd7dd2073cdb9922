import type { CatalogueCheck } from "./catalogue.ts";

const damaged = {
  severity: "error",
  when: "SQLite can not read it, or finds damage",
  todo: "Copy {directory} away, then run `systemctl restart holdfast`: it sets the file aside as {file}.corrupt-… and saves what can be read.",
} as const;
const newer = {
  severity: "error",
  when: "a newer version of Holdfast wrote it",
  todo: "Install the version that wrote it, or restore the backup that was made before the upgrade.",
} as const;
const foreign = {
  severity: "error",
  when: "it is a database of another program",
  todo: "Move {file} away and run `systemctl restart holdfast`, or name another store.directory.",
} as const;
const closed = {
  severity: "error",
  when: "it can not be opened",
  todo: "Follow what storage.directory, storage.space and storage.permissions say; when they are content, run `holdfast doctor` as root or as a member of the group {group}.",
} as const;

export const storageChecks = {
  "storage.directory": {
    looksAt: "the data directory, and whether its file system may be written",
    problems: {
      missing: {
        severity: "error",
        when: "it is not there although the service has run, or is no folder",
        todo: "Make it with `install -d -o {user} -g {group} -m 0750 {directory}`, or mount the disk that holds it.",
      },
      "read-only": {
        severity: "error",
        when: "its file system is mounted read-only",
        todo: "Look for why (`dmesg | grep -i 'remount\\|i/o error'`), check the disk, then run `mount -o remount,rw {mount}`.",
      },
    },
  },
  "storage.permissions": {
    looksAt: "the data directory and each file in it, as the service's user sees them",
    problems: {
      denied: {
        severity: "error",
        when: "the service's user may not write them",
        todo: "Run `chown -R {user}:{group} {directory}` and `chmod u+rwX -R {directory}`.",
      },
      exposed: {
        severity: "error",
        when: "everybody may read the gateway's private key",
        todo: "Run `chmod 0600 {file}`, and replace the key if others have accounts here.",
      },
    },
  },
  "storage.space": {
    looksAt: "free room on the data directory's disk, against store.maxBytes and the ballast",
    problems: {
      low: {
        severity: "warning",
        when: "the disk is full before store.maxBytes is used up",
        todo: "Make room on the disk (`du -xh --max-depth=2 {mount} | sort -h | tail`), or lower store.maxBytes to what there is.",
      },
      full: {
        severity: "error",
        when: "less than 32 MiB, or less than three times the ballast, are free",
        todo: "Make room now (`du -xh --max-depth=2 {mount} | sort -h | tail`): decisions soon can not be written down, and effects stop.",
      },
    },
  },
  "storage.inodes": {
    looksAt: "how many more files the disk can hold",
    problems: {
      out: {
        severity: "error",
        when: "fewer than 100 more",
        todo: "Delete small files that nobody needs: `du -x --inodes --max-depth=2 {mount} | sort -n | tail` shows where they are.",
      },
    },
  },
  "storage.speed": {
    looksAt:
      "4 KiB written and synced 20 times in the data directory, in a file that is removed; where one of them was slow, 20 times more",
    problems: {
      slow: {
        severity: "warning",
        when: "in both rounds the slowest (p99) took longer than 250 ms",
        todo: "Put the data on a better disk (an SSD or industrial card), or end what else writes to it (`iostat -x 1`): an action waits until its intent is synced.",
      },
    },
  },
  "storage.log": {
    looksAt: "records.db: its kind, its schema's version, and PRAGMA quick_check, all read-only",
    problems: { damaged, newer, foreign, closed },
  },
  "storage.control": {
    looksAt: "control.db, in the same way",
    problems: { damaged, newer, foreign, closed },
  },
  "storage.wal": {
    looksAt: "the size of records.db-wal",
    problems: {
      large: {
        severity: "warning",
        when: "it is larger than 64 MiB: it is not checkpointed, or somebody holds it open",
        todo: "End other programs that have records.db open (`fuser -v {file}`), then run `systemctl restart holdfast`.",
      },
    },
  },
  "storage.quarantine": {
    looksAt: "databases that a start set aside as damaged: *.corrupt-*",
    problems: {
      aside: {
        severity: "warning",
        when: "there are some",
        todo: "Find out why (power, disk: `dmesg`, `smartctl -a`), keep copies for whoever looks into it, then delete them: rm {files}",
      },
    },
  },
  "storage.audit": {
    looksAt: "the hash chain and signatures of the log, as `holdfast audit verify`, as far as there is time",
    problems: {
      broken: {
        severity: "error",
        when: "a row was changed, removed, put in or moved",
        todo: "Copy {directory} away as evidence, and run `holdfast audit verify --data {directory}` for every place.",
      },
    },
  },
} as const satisfies Readonly<Record<string, CatalogueCheck>>;
