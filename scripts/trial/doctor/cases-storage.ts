import type { Case } from "./case.ts";
import { DATA, type Site } from "./site.ts";

const RECORDS = `${DATA}/records.db`;
const CONTROL = `${DATA}/control.db`;

/** The service is stopped, since a database that is in use is not damaged by hand. */
function stopped(name: string, expected: Pick<Case, "check" | "problem" | "todo">, file: string, script: string): Case {
  return {
    ...{ name, ...expected },
    break: (site: Site) => {
      site.stop();
      site.save(file);
      site.sh(script);
    },
    mend: async (site: Site) => {
      site.sh(`rm -f ${file}-wal ${file}-shm`);
      site.restore(file);
      await site.start();
    },
  };
}

/** Four bytes of SQLite's header (file format, 1.3), which are big-endian. */
const header = (file: string, at: number, value: string): string =>
  `printf '${value}' | dd of=${file} bs=1 seek=${at} conv=notrunc 2>/dev/null`;
const damaged = { check: "storage.log", problem: "damaged", todo: "systemctl restart holdfast" } as const;

const SLOW = `#define _GNU_SOURCE
#include <dlfcn.h>
#include <unistd.h>
int fdatasync(int fd) {
  int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
  usleep(300000);
  return real(fd);
}
`;
const EDIT = `const Sqlite = require("/usr/lib/holdfast/node_modules/better-sqlite3");
const db = new Sqlite("${RECORDS}");
db.prepare("UPDATE record SET body = replace(body, 'e', 'E') WHERE n = (SELECT max(n) - 20 FROM record)").run();
db.close();`;

export const storageCases: readonly Case[] = [
  {
    ...{ name: "the disk is nearly full", check: "storage.space", problem: "full", todo: "du -xh" },
    break: (site) => {
      site.smallDisk("size=200M");
      site.machine.try(
        "sh",
        "-c",
        `head -c 300M /dev/zero > ${DATA}/filler 2>/dev/null; chown holdfast: ${DATA}/filler`,
      );
    },
    mend: (site) => site.ownDisk(),
  },
  {
    ...{
      name: "the disk is smaller than the budget",
      check: "storage.space",
      problem: "low",
      todo: "lower store.maxBytes",
    },
    break: (site) => site.smallDisk("size=300M"),
    mend: (site) => site.ownDisk(),
  },
  {
    ...{ name: "no more files can be made", check: "storage.inodes", problem: "out", todo: "du -x --inodes" },
    break: (site) => {
      site.smallDisk("size=2G,nr_inodes=300");
      site.machine.try(
        "sh",
        "-c",
        `mkdir ${DATA}/many; i=0; while touch ${DATA}/many/$i 2>/dev/null; do i=$((i+1)); done; chown -R holdfast: ${DATA}/many`,
      );
    },
    mend: (site) => site.ownDisk(),
  },
  {
    ...{ name: "a slow disk", check: "storage.speed", problem: "slow", todo: "iostat -x" },
    break: (site) => {
      const library = site.preload("slow", SLOW);
      return library === undefined ? "can not be made here" : [`LD_PRELOAD=${library}`];
    },
    mend: () => undefined,
  },
  {
    ...{
      name: "the data belong to root",
      check: "storage.permissions",
      problem: "denied",
      todo: `chown -R holdfast:holdfast ${DATA}`,
    },
    break: (site) => void site.sh(`chown root: ${RECORDS}`),
    mend: (site) => void site.sh(`chown holdfast: ${RECORDS}`),
  },
  {
    ...{ name: "all can read the gateway's key", check: "storage.permissions", problem: "exposed", todo: "chmod 0600" },
    break: (site) => void site.sh(`chmod 0644 ${DATA}/gateway.key`),
    mend: (site) => void site.sh(`chmod 0600 ${DATA}/gateway.key`),
  },
  {
    ...{ name: "the data's disk is read-only", check: "storage.directory", problem: "read-only", todo: "remount,rw" },
    break: (site) => {
      site.stop();
      site.sh(`mount --bind ${DATA} ${DATA} && mount -o remount,ro,bind ${DATA}`);
    },
    mend: (site) => site.ownDisk(),
  },
  {
    ...{
      name: "there is no data directory",
      check: "storage.directory",
      problem: "missing",
      todo: "install -d -o holdfast",
    },
    break: (site) => {
      site.stop();
      site.sh(`mv ${DATA} ${DATA}-away`);
    },
    mend: async (site) => {
      site.sh(`mv ${DATA}-away ${DATA}`);
      await site.start();
    },
  },
  stopped(
    "the log's header is destroyed",
    damaged,
    RECORDS,
    `head -c 100 /dev/urandom | dd of=${RECORDS} conv=notrunc 2>/dev/null`,
  ),
  stopped(
    "a page of the log is destroyed",
    damaged,
    RECORDS,
    `head -c 2048 /dev/urandom | dd of=${RECORDS} bs=2048 seek=1 conv=notrunc 2>/dev/null`,
  ),
  stopped(
    "the log is of a newer version",
    { check: "storage.log", problem: "newer", todo: "the version that wrote it" },
    RECORDS,
    header(RECORDS, 60, "\\0\\0\\0\\143"),
  ),
  stopped(
    "the log is another program's",
    { check: "storage.log", problem: "foreign", todo: "Move" },
    RECORDS,
    header(RECORDS, 68, "abcd"),
  ),
  stopped(
    "control.db is destroyed",
    { ...damaged, check: "storage.control" },
    CONTROL,
    `head -c 4096 /dev/urandom > ${CONTROL}`,
  ),
  stopped(
    "control.db is of a newer version",
    { check: "storage.control", problem: "newer", todo: "the version that wrote it" },
    CONTROL,
    header(CONTROL, 60, "\\0\\0\\0\\143"),
  ),
  stopped(
    "a row of the log was changed by hand",
    { check: "storage.audit", problem: "broken", todo: "holdfast audit verify" },
    RECORDS,
    `/usr/lib/holdfast/bin/node -e '${EDIT.replaceAll("'", "'\\''")}'; chown holdfast: ${RECORDS}*`,
  ),
  {
    ...{ name: "the WAL has grown", check: "storage.wal", problem: "large", todo: "fuser -v" },
    break: (site) => {
      site.stop();
      site.sh(`truncate -s 70M ${RECORDS}-wal && chown holdfast: ${RECORDS}-wal`);
    },
    mend: async (site) => {
      site.sh(`rm -f ${RECORDS}-wal ${RECORDS}-shm`);
      await site.start();
    },
  },
  {
    ...{
      name: "a start set a database aside",
      check: "storage.quarantine",
      problem: "aside",
      todo: `rm ${RECORDS}.corrupt-1700000000000`,
    },
    break: (site) => void site.sh(`touch ${RECORDS}.corrupt-1700000000000 && chown holdfast: ${RECORDS}.corrupt-*`),
    mend: (site) => void site.sh(`rm ${RECORDS}.corrupt-1700000000000`),
  },
];
