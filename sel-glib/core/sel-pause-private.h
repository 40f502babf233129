/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "core/sel-fd-probe-private.h"
#include "core/sel-registry-private.h"

G_BEGIN_DECLS

/*
 * Which descriptors are not polled for a while, and until when? A paused descriptor stays registered, but the kernel
 * does not wait for the paused events and they are not reported. It keeps its generation; when it is resumed it gets a
 * new one, so that reports from before are out of date. Modifying or refreshing a registration ends its pause.
 *
 * All functions must be called with the lock held, except where stated.
 */

typedef enum
{
  SEL_PAUSE_UNTIL_MODIFIED,  /* only sel_base_selector_modify() or _refresh() resumes it */
  SEL_PAUSE_FOR_A_WHILE      /* until SEL_PAUSE_INTERVAL has passed */
} SelPauseKind;

/* The length of such a pause, in microseconds. */
#define SEL_PAUSE_INTERVAL (100 * 1000)

/* At most this part of #SelBaseSelector:max-dispatch, 1/32, is resumed or probed in one turn of a main loop. If
 * thousands of callbacks ignore hang-ups, the others do not have to wait for all of them. SEL_WAIT_IGNORED_SHARE lets a
 * turn serve twice as many, so that the loop gets on with those that are not paused yet, however slow it is. */
#define SEL_PAUSE_RESUMED_SHARE 32

/* For the same reason, a pause lasts at least this time, in microseconds, multiplied by the number of paused
 * descriptors. */
#define SEL_PAUSE_SHARE 400

/* The end of a pause that follows a hang-up is rounded up to a multiple of its length divided by this number. */
#define SEL_PAUSE_GRID 16

/* From this length on, a list of pauses that has got twice as long is tidied up. It is a power of two. */
#define SEL_PAUSE_MIN_TIDY_UP 16

/* A pause that ends by itself. It is out of date if the registration has another generation or is not paused. A
 * registration can have two at once, of different events: one that follows a hang-up, and another one. */
typedef struct
{
  int fd;
  guint32 generation;
  gconstpointer function;    /* stands for a callback that runs: the pause ends when it has returned; or NULL */
  gint64 until;              /* monotonic time, in microseconds */
  guint8 events;             /* these are active again when the pause has ended */
  guint8 ended : 1;          /* the pause follows a hang-up: these directions have ended */
  guint8 once : 1;           /* each hang-up is told once: the pause goes on as long as the end lasts */
} SelPause;

void     sel_pause_clear           (SelCore             *core);

/* Pauses the registration that @event is about. Nothing happens if it was changed since the event was reported, or if
 * a thread waits, which must get every ready descriptor. A pause for a while leaves out the directions that are paused
 * already because they have ended; the other kind replaces every pause of the registration. */
void     sel_pause_begin           (SelCore             *core,
                                    const SelReadyEvent *event,
                                    SelPauseKind         kind);

/* Pauses only the events in @ended, whose end the callback ignores: for a time that becomes longer with each pause; or,
 * if the policy is to tell each hang-up once, until something has changed. */
void     sel_pause_begin_ended     (SelCore             *core,
                                    const SelReadyEvent *event,
                                    SelEventMask         ended);

/* The kernel reports a paused descriptor that it watches for changes. Resumes it, unless the report says nothing else
 * than that it has ended. Then it is the echo of the alarm, or the next hang-up, which the policy ONCE tells. */
void     sel_pause_ring            (SelCore             *core,
                                    int                  fd,
                                    SelKeySlot          *slot,
                                    SelEventMask         events,
                                    SelEnds              ends);

/* Pauses the registration, as sel_pause_begin(), until the function that @function stands for has returned, or until
 * SEL_PAUSE_INTERVAL has passed. */
void     sel_pause_defer           (SelCore             *core,
                                    const SelReadyEvent *event,
                                    gconstpointer        function);

/* Resumes the descriptors that were deferred for @function. */
void     sel_pause_resume_deferred (SelCore             *core,
                                    gconstpointer        function);

/* Resumes the descriptors whose time is over. */
void     sel_pause_resume_due      (SelCore             *core);

/* Resumes all that have a time. A callback that ignores an end is called once before the next pause. */
void     sel_pause_resume_now      (SelCore             *core);

/* Takes the lock: the same, if the selector can be used. */
void     sel_pause_resume_all      (SelCore             *core);

/* For a thread that waits, and must get every ready descriptor: resumes all that have a time, apart from directions
 * that are still at their end. Returns: TRUE if there are any of these, which the thread has to be told itself */
gboolean sel_pause_resume_changed  (SelCore             *core);

/* The directions of @fd that are paused because they have ended. */
typedef void (*SelPauseFunc) (SelCore      *core,
                              int           fd,
                              SelKeySlot   *slot,
                              SelEventMask  ended);

/* Calls @func for the pauses that follow a hang-up, beginning with a different one in each turn. */
void     sel_pause_foreach_ended   (SelCore             *core,
                                    guint                turn,
                                    SelPauseFunc         func);

/* Tells the kernel anew, as a new registration, about a descriptor that it may confuse with another file. */
void     sel_pause_rearm           (SelCore             *core,
                                    const SelReadyEvent *event);

/* When the next pause ends, as monotonic time in microseconds; -1 if there is none. */
gint64   sel_pause_get_next        (SelCore             *core);

/* Ends all pauses without telling the kernel. For a kernel object that is about to be filled. */
void     sel_pause_forget_all      (SelCore             *core);

/* Tells the kernel, which has forgotten @fd, about its registration, unless that is paused. */
void     sel_pause_arm_again       (SelCore             *core,
                                    int                  fd);

/* Tells the kernel, which knows nothing, about the selector's own descriptor and all registrations that are not
 * paused. A descriptor that is closed, or that the kernel cannot wait for, keeps its key. A descriptor that
 * the kernel refuses for another reason, for example lack of memory, is tried again after a pause. @error is not
 * NULL. */
gboolean sel_pause_arm_all         (SelCore             *core,
                                    GError             **error);

G_END_DECLS
