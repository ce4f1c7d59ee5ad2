/** Moments in words, and until when a snooze lasts. Pure: the clock is the caller's. */

export const QUARTER_MS = 15 * 60_000;
const MORNING_HOUR = 8;

/** Eight in the morning of the next day, by the clock of this device. */
export function tomorrowMorning(now: number): number {
  const day = new Date(now);
  return new Date(day.getFullYear(), day.getMonth(), day.getDate() + 1, MORNING_HOUR).getTime();
}

/** `14:05`, with the day where it is another one than `now`. Both are epoch milliseconds. */
export function shownTime(at: number, now: number): string {
  const moment = new Date(at);
  const time = moment.toLocaleTimeString(undefined, { hour: "2-digit", minute: "2-digit" });
  if (moment.toDateString() === new Date(now).toDateString()) return time;
  return `${moment.toLocaleDateString(undefined, { weekday: "long", day: "numeric", month: "long" })}, ${time}`;
}
