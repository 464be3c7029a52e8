// The sources of context, as the reader sees them.

export const MODE_NAMES = {
  none: "No context", triples: "Triples", coclick: "Clicks", both: "Triples and clicks",
  random: "Random triples", shuffled: "Shuffled triples", empty: "Empty slots", coclick_random: "Random clicks",
};

/** Controls: they hold no knowledge, and show what knowledge is worth. */
export const CONTROLS = new Set(["random", "shuffled", "empty", "coclick_random"]);
