export const backupErrors = {
  BACKUP_EXISTS: "There is a file of this name already.",
  BACKUP_NO_ROOM: "There is not enough room on the disk.",
  BACKUP_CHANGED: "A file changed while it was copied.",
  BACKUP_TOO_LARGE: "A file is too large for the archive.",
  BACKUP_STOPPED: "It was stopped before it was done; nothing was changed.",
  BACKUP_FOREIGN: "The file is no backup of a gateway.",
  BACKUP_DAMAGED: "The backup is not as it was written.",
  BACKUP_NEWER: "The backup was made by a newer version.",
  BACKUP_CHAIN: "The log in the backup is not as the gateway wrote it.",
  BACKUP_UNREADABLE: "The backup can not be opened.",
  RESTORE_RUNNING: "The data directory is in use.",
  RESTORE_UNCONFIRMED: "It needs a person's word.",
  RESTORE_JOURNAL: "What an interrupted restore or reset left can not be read.",
  RESET_UNSENT: "Records would be lost that the fleet has not stored.",
} as const;

export type BackupErrorCode = keyof typeof backupErrors;

/** An error of a backup, a restore or a reset; `code` is what callers branch on. */
export class BackupError extends Error {
  override readonly name = "BackupError";
  readonly code: BackupErrorCode;
  readonly detail: Readonly<Record<string, unknown>>;
  readonly hint: string | undefined;

  constructor(
    code: BackupErrorCode,
    detail: Readonly<Record<string, unknown>> = {},
    options: { cause?: unknown; hint?: string | undefined } = {},
  ) {
    super(backupErrors[code], options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.detail = detail;
    this.hint = options.hint;
  }
}
