/* Whether a free text refuses, by the phrases it has and what stands around them: three-valued, because a
   rule that must always answer answers wrongly in silence; docs/refusal.md says how well it does. In a world
   the world's own truth is used instead.
 */
#ifndef HARNESS_REFUSAL_DETECTOR_H
#define HARNESS_REFUSAL_DETECTOR_H

enum refusal { REFUSAL_ANSWERED, REFUSAL_REFUSED, REFUSAL_UNDETERMINED };

/* Phrases count only in the speaker's own words: quotations and code are left out. A refusal that comes late,
   or that is followed by what was asked for, and an evasion are undetermined; so is an empty answer. */
enum refusal refusal_detect(const char *response);

#endif
