/** One cold room, as it was built. */
export interface RoomLayout {
  readonly room: string;
  /** What its thermostat keeps, in degrees Celsius. */
  readonly setpoint: number;
  /** What one of its two compressors takes out of the air, in kW. */
  readonly coolingKw: number;
  /** What one of them draws when it runs, in amperes. */
  readonly nominalAmperes: number;
  /** How much of the evaporator's air still goes through at the start, in %. */
  readonly airflowAtStart: number;
}

export const rooms: readonly [RoomLayout, ...RoomLayout[]] = [
  { room: "freezer", setpoint: -20, coolingKw: 8, nominalAmperes: 14, airflowAtStart: 70 },
  { room: "chiller", setpoint: 2, coolingKw: 3.5, nominalAmperes: 9, airflowAtStart: 92 },
  { room: "dock", setpoint: 6, coolingKw: 2.7, nominalAmperes: 8, airflowAtStart: 97 },
];

/** The first compressor of a room is under its thermostat, the second one stands by. */
export const compressors: readonly string[] = rooms.flatMap(({ room }) => [`${room}-1`, `${room}-2`]);

export function layoutOf(compressorOrRoom: string): RoomLayout {
  const room = compressorOrRoom.replace(/-[12]$/, "");
  const found = rooms.find((one) => one.room === room);
  if (found === undefined) throw new RangeError(`the plant has no room ${room}`);
  return found;
}

export function isFirst(compressor: string): boolean {
  return compressor.endsWith("-1");
}
