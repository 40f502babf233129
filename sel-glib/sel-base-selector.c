/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <string.h>
#include <sys/resource.h>

#include "core/sel-base-selector-private.h"
#include "core/sel-fd-identity-private.h"
#include "core/sel-timeout-private.h"
#include "core/sel-wakeup-private.h"
#include "sel-enum-types.h"
#include "sel-file-object.h"
#include "sel-selector-event-private.h"
#include "sel-selector-mapping-private.h"

/**
 * SECTION:sel-base-selector
 * @Title: SelBaseSelector
 * @Short_description: Waits until registered file objects are ready
 *
 * A selector waits for many file objects at once. Register each with what to wait for, and
 * sel_base_selector_select() tells which are ready. The functions, their names and what they
 * do are those of Python's `selectors` module.
 *
 * #SelBaseSelector is what all selectors have in common. Make one with
 * sel_default_selector_new(), which picks the best mechanism of the system.
 *
 * # Readiness # {#readiness}
 *
 * A descriptor is ready for reading or writing if that would not block. An error or a hang-up lets
 * both return at once, so it counts as both. Readiness is a hint: somebody else may have been faster, so
 * descriptors should not block.
 *
 * A descriptor stays ready until what made it ready is gone, and each call reports it again.
 *
 * # Closing # {#closing}
 *
 * Unregister a descriptor before closing it. If that was forgotten, its key stays, but it is not
 * reported any more, and nothing else suffers; sel_base_selector_check() finds such keys, and
 * unregistering them works. With epoll, a closed descriptor is still reported as long as a duplicate of
 * it is open somewhere.
 *
 * If the environment variable `SEL_DEBUG` contains `fd`, a warning tells of descriptors that were closed, and
 * opened again for another file, without being unregistered. That takes a system call for each descriptor that is
 * ready.
 *
 * # Threads # {#threads}
 *
 * All functions may be called from any thread. What one thread registers, changes or unregisters is seen
 * by another that waits. Only one thread can wait at a time.
 *
 * # Forking # {#forking}
 *
 * A child process cannot wait on a selector of its parent: that gives %SEL_SELECTOR_ERROR_FORKED, and
 * nothing that the child does to it is seen by the parent. sel_base_selector_reinit() makes it the
 * child's own.
 */

/**
 * SelBaseSelector:
 *
 * An abstract selector.
 *
 * Since: 1.0
 */

/* A wait that begins when nothing but the first is set is an ordinary one. */
typedef enum
{
  SEL_STATE_OPEN = 1 << 0,
  SEL_STATE_CLOSED = 1 << 1,
  SEL_STATE_FORKED = 1 << 2,        /* opened by the parent process */
  SEL_STATE_OPENING = 1 << 3,       /* somebody who has the lock opens it */
  SEL_STATE_WAITING = 1 << 4,       /* somebody is in select() */
  SEL_STATE_LOOKING = 1 << 5,       /* a main loop asks what is ready */
  SEL_STATE_ASYNC_PENDING = 1 << 6,
  SEL_STATE_CHANGED = 1 << 7,       /* since a wait began, a descriptor was changed or removed */
  SEL_STATE_WOKEN = 1 << 8,         /* sel_base_selector_wakeup() was called */
  SEL_STATE_RESTS = 1 << 9,         /* something rests, until rest_end */
  SEL_STATE_ALWAYS_READY = 1 << 10, /* something is ready that the kernel cannot wait for */
  SEL_STATE_IDENTIFIES = 1 << 11    /* mistakes are looked for */
} SelState;

#define SEL_STATE_IN_WAIT (SEL_STATE_WAITING | SEL_STATE_LOOKING)

typedef struct
{
  GMutex lock;
  gpointer updater;          /* atomic: who is in a virtual function with the lock held, and may come again */
  guint depth;               /* how often that thread did */
  guint fork_count;          /* of the process that opened the selector */
  guint state;               /* atomic, as an ordinary wait begins without the lock: of SelState */

  SelKeyTable table;
  GArray *always_ready;      /* descriptors that the kernel cannot wait for */
  GPtrArray *observers;
  SelDelivery *deliveries;   /* of the main loops that call callbacks now */
  SelFdIdentities *identities; /* for finding mistakes, or NULL */
  SelSelectorMapping *map;
  SelWakeup *wakeup;         /* with references of its own, for who may signal after the selector is gone */
  int poll_fd;

  GError *open_error;        /* why it could not be opened */
  gboolean reporting;        /* who waits has called begin_reports(), which locks */
  gboolean wait_sees_updates;
  guint settings[SEL_N_SETTINGS]; /* atomic for who begins to wait */
  GArray *resting;           /* descriptors that are muted for a while */
  gint64 rest_end;           /* until then, in monotonic time */

  guint turn;                /* what is always ready is first in a small array every other call */

  guint32 last_generation;   /* atomic for who begins to wait */
  guint32 tag;               /* the generation that update() is told about */
  guint32 wait_generation;   /* last_generation when the wait began */

  SelSink sink;              /* of the wait that goes on */
  SelReadyEvent *buffer;     /* of the forms that have no array of the caller's */
  gsize buffer_size;
  gsize list_room;           /* how many reports are asked for at once in these forms */
} SelBaseSelectorPrivate;

/* The number of a setting's property; there are no others. */
#define PROP(setting) ((setting) + 1)
#define N_PROPERTIES PROP (SEL_N_SETTINGS)

static GParamSpec *properties[N_PROPERTIES];

/* Each so many calls of its callback it is looked whether a descriptor is hung up or closed; more and more rarely if
 * the kernel does not say anything of the kind, down to once for each half of what can be counted. */
#define DELIVERIES_BEFORE_SUSPICION 8
#define MAX_DELIVERIES 256

/* After so many calls it is also looked whether the kernel speaks of the file that has the number now. */
#define DELIVERIES_BEFORE_DOUBT 64

/* How long a hung-up descriptor is left alone, in microseconds. */
#define REST_TIME (100 * 1000)

G_DEFINE_ABSTRACT_TYPE_WITH_PRIVATE (SelBaseSelector, sel_base_selector, G_TYPE_OBJECT)

/* Becomes part of its callers, but not where that is in the way of who debugs or counts what is covered. */
#ifdef __OPTIMIZE__
#define SEL_ALWAYS_INLINE inline G_ALWAYS_INLINE
#else
#define SEL_ALWAYS_INLINE inline
#endif

#define PRIV(self) ((SelBaseSelectorPrivate *) sel_base_selector_get_instance_private (self))

/* How many forks there are between this process and the one that loaded the library. */
static guint fork_count;

static void
sel_base_selector_count_fork (void)
{
  fork_count++;
}

/* g_thread_self() takes longer than all the rest of locking. */
static inline gpointer
sel_thread_self (void)
{
  return (gpointer) (gsize) pthread_self ();
}

static inline void
sel_base_selector_add_state (SelBaseSelectorPrivate *priv,
                             SelState                state)
{
  g_atomic_int_or (&priv->state, state);
}

static inline void
sel_base_selector_remove_state (SelBaseSelectorPrivate *priv,
                                SelState                state)
{
  g_atomic_int_and (&priv->state, ~(guint) state);
}

static inline gboolean
sel_base_selector_is (SelBaseSelectorPrivate *priv,
                      SelState                state)
{
  return ((guint) g_atomic_int_get (&priv->state) & state) != 0;
}

/* Whether it is open, and by this process. */
static inline gboolean
sel_base_selector_is_usable (SelBaseSelectorPrivate *priv)
{
  return ((guint) g_atomic_int_get (&priv->state) & (SEL_STATE_OPEN | SEL_STATE_FORKED)) == SEL_STATE_OPEN;
}

/* Whether nothing else is to be thought of, but for a wait that may go on. */
static inline gboolean
sel_base_selector_is_ordinary (SelBaseSelectorPrivate *priv)
{
  return ((guint) g_atomic_int_get (&priv->state) & ~(guint) SEL_STATE_IN_WAIT) == SEL_STATE_OPEN;
}

/* Whether this is a child process that has not used the selector yet. */
static inline gboolean
sel_base_selector_is_unnoticed_fork (SelBaseSelectorPrivate *priv)
{
  return priv->fork_count != fork_count;
}

/* The first call in a child process. Other threads, whatever they were at, do not exist here. */
static void
sel_base_selector_notice_fork (SelBaseSelectorPrivate *priv)
{
  g_mutex_init (&priv->lock);
  priv->updater = NULL;
  priv->depth = 0;
  sel_base_selector_remove_state (priv, SEL_STATE_IN_WAIT | SEL_STATE_CHANGED | SEL_STATE_OPENING);
  if (sel_base_selector_is (priv, SEL_STATE_OPEN))
    sel_base_selector_add_state (priv, SEL_STATE_FORKED);
  priv->sink.events = NULL;
  priv->reporting = FALSE;
  sel_deliveries_retain_thread (&priv->deliveries, sel_thread_self ());
  g_atomic_int_set (&priv->wakeup->in_use, 0);
  priv->fork_count = fork_count; /* now also for who does not lock */
}

/* No order is needed: a thread compares with itself, and that is only ever written by itself. */
static inline gpointer
sel_base_selector_get_updater (SelBaseSelectorPrivate *priv)
{
  return __atomic_load_n (&priv->updater, __ATOMIC_RELAXED);
}

static inline void
sel_base_selector_set_updater (SelBaseSelectorPrivate *priv,
                               gpointer                updater)
{
  __atomic_store_n (&priv->updater, updater, __ATOMIC_RELAXED);
}

/* Whether this thread has locked it already. Out of line, as that keeps what calls it short. */
static G_NO_INLINE gboolean
sel_base_selector_is_updater (SelBaseSelectorPrivate *priv)
{
  return sel_base_selector_get_updater (priv) == sel_thread_self ();
}

static inline void
sel_base_selector_lock (SelBaseSelectorPrivate *priv)
{
  if (G_UNLIKELY (sel_base_selector_is_unnoticed_fork (priv)))
    sel_base_selector_notice_fork (priv);

  if (G_UNLIKELY (sel_base_selector_get_updater (priv) != NULL) && sel_base_selector_is_updater (priv))
    priv->depth++;
  else
    g_mutex_lock (&priv->lock);
}

static inline void
sel_base_selector_unlock (SelBaseSelectorPrivate *priv)
{
  if (G_UNLIKELY (priv->depth > 0))
    priv->depth--;
  else
    g_mutex_unlock (&priv->lock);
}

/* Around a virtual function that is called with the lock held: it may come back in. */
static inline gpointer
sel_base_selector_enter (SelBaseSelectorPrivate *priv)
{
  gpointer outer = sel_base_selector_get_updater (priv);

  sel_base_selector_set_updater (priv, sel_thread_self ());

  return outer;
}

static inline void
sel_base_selector_leave (SelBaseSelectorPrivate *priv,
                         gpointer                outer)
{
  sel_base_selector_set_updater (priv, outer);
}

/* The last one can be read without the lock. */
static inline guint32
sel_base_selector_get_generation (SelBaseSelectorPrivate *priv)
{
  return __atomic_load_n (&priv->last_generation, __ATOMIC_RELAXED);
}

static inline guint32
sel_base_selector_next_generation (SelBaseSelectorPrivate *priv)
{
  guint32 generation = priv->last_generation + 1;

  __atomic_store_n (&priv->last_generation, generation, __ATOMIC_RELAXED);

  return generation;
}

/* Makes sure that a virtual function that returned FALSE has set an error. */
static gboolean
sel_base_selector_complete_error (SelBaseSelector  *self,
                                  const char       *function,
                                  gboolean          success,
                                  GError          **error)
{
  if (success)
    g_clear_error (error);
  else if (*error == NULL)
    g_set_error (error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_FAILED,
                 "%s.%s () returned FALSE, or nothing, and set no error", G_OBJECT_TYPE_NAME (self), function);

  return success;
}

static gboolean
sel_base_selector_is_os_error (const GError *error,
                               int           errsv)
{
  return g_error_matches (error, SEL_OS_ERROR, errsv);
}

/* Calls update() with the lock held. @error is not NULL.
 *
 * It becomes part of its callers, as do sel_base_selector_arm() and sel_base_selector_rearm(): after a system call, each
 * return from a function that was called before is slow. */
static SEL_ALWAYS_INLINE gboolean
sel_base_selector_update (SelBaseSelector  *self,
                          int               fd,
                          SelEventMask      old_events,
                          SelEventMask      new_events,
                          guint32           generation,
                          GError          **error)
{
  SelBaseSelectorPrivate *priv = PRIV (self);
  SelBaseSelectorClass *klass = SEL_BASE_SELECTOR_GET_CLASS (self);
  guint32 outer_tag = priv->tag;
  gboolean success;
  gpointer outer;

  outer = sel_base_selector_enter (priv);
  priv->tag = generation;
  for (;;)
    {
      success = klass->update != NULL && klass->update (self, fd, old_events, new_events, error);
      if (G_LIKELY (success) || !sel_base_selector_is_os_error (*error, EINTR))
        break;
      g_clear_error (error);
    }
  priv->tag = outer_tag;
  sel_base_selector_leave (priv, outer);

  if (G_LIKELY (success && *error == NULL))
    return TRUE;

  return sel_base_selector_complete_error (self, "update", success, error);
}

/* Takes @fd out of the kernel's set. It may be gone from there already. */
static void
sel_base_selector_disarm (SelBaseSelector *self,
                          int              fd,
                          SelEventMask     armed)
{
  g_autoptr(GError) ignored = NULL;

  if (armed != 0 && !sel_base_selector_is (PRIV (self), SEL_STATE_FORKED))
    sel_base_selector_update (self, fd, armed, 0, 0, &ignored);
}

static inline void
sel_base_selector_notify_observers (SelBaseSelectorPrivate *priv,
                                    int                     fd)
{
  for (guint i = 0; priv->observers != NULL && i < priv->observers->len; i++)
    {
      SelObserver *observer = g_ptr_array_index (priv->observers, i);

      observer->funcs->changed (observer, fd);
    }
}

/* What a wait that goes on has found so far may not be true any more. */
static inline void
sel_base_selector_outdate_wait (SelBaseSelectorPrivate *priv)
{
  if (sel_base_selector_is (priv, SEL_STATE_IN_WAIT))
    sel_base_selector_add_state (priv, SEL_STATE_CHANGED);
}

/* Whoever waits elsewhere has to know that something was changed. No kernel sees what is always ready. */
static inline void
sel_base_selector_changed (SelBaseSelectorPrivate *priv,
                           int                     fd)
{
  if (sel_base_selector_is (priv, SEL_STATE_IN_WAIT) &&
      (!priv->wait_sees_updates || sel_base_selector_is (priv, SEL_STATE_ALWAYS_READY)))
    sel_wakeup_signal (priv->wakeup);

  sel_base_selector_notify_observers (priv, fd);
}

/* Warns of a descriptor that was closed, and opened again for another file, behind the selector's back. The
 * warning may be handled by a function that uses the selector. */
static void
sel_base_selector_compare_identity (SelBaseSelectorPrivate *priv,
                                    int                     fd)
{
  gpointer outer;

  if (!sel_fd_identities_is_other (priv->identities, fd))
    return;

  outer = sel_base_selector_enter (priv);
  g_warning ("Descriptor %d was closed and stands for another file now, but it was not unregistered before", fd);
  sel_base_selector_leave (priv, outer);
}

static inline void
sel_base_selector_check_identity (SelBaseSelectorPrivate *priv,
                                  int                     fd)
{
  if (G_UNLIKELY (priv->identities != NULL))
    sel_base_selector_compare_identity (priv, fd);
}

static void
sel_base_selector_change_always_ready (SelBaseSelectorPrivate *priv,
                                       int                     fd,
                                       SelKeySlot             *slot,
                                       gboolean                always_ready)
{
  slot->always_ready = always_ready;

  if (priv->always_ready == NULL)
    priv->always_ready = g_array_new (FALSE, FALSE, sizeof (int));

  if (always_ready)
    {
      g_array_append_val (priv->always_ready, fd);
      sel_base_selector_add_state (priv, SEL_STATE_ALWAYS_READY);
      return;
    }

  for (guint i = 0; i < priv->always_ready->len; i++)
    {
      if (g_array_index (priv->always_ready, int, i) == fd)
        {
          g_array_remove_index_fast (priv->always_ready, i);
          break;
        }
    }
  if (priv->always_ready->len == 0)
    sel_base_selector_remove_state (priv, SEL_STATE_ALWAYS_READY);
}

static inline void
sel_base_selector_set_always_ready (SelBaseSelectorPrivate *priv,
                                    int                     fd,
                                    SelKeySlot             *slot,
                                    gboolean                always_ready)
{
  if (G_UNLIKELY (slot->always_ready != always_ready))
    sel_base_selector_change_always_ready (priv, fd, slot, always_ready);
}

/*
 * Whether a refusal to wait for a descriptor means that it is ready now and for ever. EPIPE comes
 * from kqueue for a pipe whose other end is closed, where all others report an error or hang-up; EPERM
 * from epoll and kqueue for files, where that is an answer only for who asked for it.
 */
static gboolean
sel_base_selector_refusal_is_ready (SelBaseSelectorPrivate *priv,
                                    const GError           *error)
{
  return sel_base_selector_is_os_error (error, EPIPE) ||
         (priv->settings[SEL_SETTING_EMULATE_ALWAYS_READY] && sel_base_selector_is_os_error (error, EPERM));
}

/* What came of telling the kernel about a descriptor. */
typedef struct
{
  guint32 generation;
  SelEventMask armed;
  gboolean always_ready;
} Arming;

/* Tells the kernel about a slot that is in the table, or is about to be. */
static SEL_ALWAYS_INLINE gboolean
sel_base_selector_arm (SelBaseSelector  *self,
                       int               fd,
                       SelEventMask      old_events,
                       SelEventMask      new_events,
                       Arming           *arming,
                       GError          **error)
{
  SelBaseSelectorPrivate *priv = PRIV (self);
  g_autoptr(GError) local_error = NULL;

  arming->armed = new_events;
  arming->always_ready = FALSE;
  if (sel_base_selector_update (self, fd, old_events, new_events, arming->generation, &local_error))
    return TRUE;

  if (sel_base_selector_refusal_is_ready (priv, local_error))
    {
      sel_base_selector_disarm (self, fd, old_events);
      arming->armed = 0;
      arming->always_ready = TRUE;
      return TRUE;
    }

  g_propagate_error (error, g_steal_pointer (&local_error));

  return FALSE;
}

static void
sel_base_selector_set_armed (SelBaseSelectorPrivate *priv,
                             int                     fd,
                             SelKeySlot             *slot,
                             const Arming           *arming)
{
  slot->generation = arming->generation;
  slot->armed = arming->armed;
  slot->muted = slot->resting = slot->deferred = slot->maybe_hung_up = FALSE;
  if (priv->identities != NULL)
    sel_fd_identities_remember (priv->identities, fd);
  sel_base_selector_set_always_ready (priv, fd, slot, arming->always_ready);
}

/* Gives the kernel's things back. Must be called with the lock held. */
static void
sel_base_selector_release (SelBaseSelector *self)
{
  SelBaseSelectorPrivate *priv = PRIV (self);
  SelBaseSelectorClass *klass = SEL_BASE_SELECTOR_GET_CLASS (self);

  if (!sel_base_selector_is (priv, SEL_STATE_OPEN))
    return;

  if (klass->release != NULL)
    {
      gpointer outer = sel_base_selector_enter (priv);

      klass->release (self, sel_base_selector_is (priv, SEL_STATE_FORKED));
      sel_base_selector_leave (priv, outer);
    }

  sel_wakeup_close (priv->wakeup);
  priv->poll_fd = -1;
  sel_base_selector_remove_state (priv, SEL_STATE_OPEN | SEL_STATE_FORKED);
}

/* Leaves a slot that is not armed alone for a while. */
static void
sel_base_selector_rest (SelBaseSelectorPrivate *priv,
                        int                     fd,
                        SelKeySlot             *slot)
{
  slot->muted = slot->resting = TRUE;
  if (priv->resting == NULL)
    priv->resting = g_array_new (FALSE, FALSE, sizeof (int));
  g_array_append_val (priv->resting, fd);
  if (!sel_base_selector_is (priv, SEL_STATE_RESTS))
    priv->rest_end = g_get_monotonic_time () + REST_TIME;
  sel_base_selector_add_state (priv, SEL_STATE_RESTS);
}

/* A descriptor that is closed, or cannot be waited for, keeps its key; what failed for another reason, a lack of memory
 * for example, is tried again. */
static void
sel_base_selector_rearm_slot (int         fd,
                              SelKeySlot *slot,
                              gpointer    user_data)
{
  SelBaseSelector *self = user_data;
  Arming arming = { .generation = slot->generation };
  g_autoptr(GError) error = NULL;

  if (slot->muted)
    return;

  slot->armed = 0;
  if (sel_base_selector_arm (self, fd, 0, slot->events, &arming, &error))
    sel_base_selector_set_armed (PRIV (self), fd, slot, &arming);
  else if (!sel_base_selector_is_os_error (error, EBADF) && !sel_base_selector_is_os_error (error, EPERM))
    sel_base_selector_rest (PRIV (self), fd, slot);
}

static void
sel_base_selector_unmute_slot (int         fd,
                               SelKeySlot *slot,
                               gpointer    user_data)
{
  slot->muted = slot->resting = slot->deferred = FALSE;
}

/* Tells the kernel, which knows nothing, of all that it has to wait for. @error is not NULL. */
static gboolean
sel_base_selector_rearm_all (SelBaseSelector  *self,
                             GError          **error)
{
  SelBaseSelectorPrivate *priv = PRIV (self);

  if (!sel_base_selector_update (self, priv->wakeup->read_fd, 0, SEL_EVENT_READ, 0, error))
    return FALSE;

  sel_key_table_foreach (&priv->table, sel_base_selector_rearm_slot, self);

  return TRUE;
}

static gboolean
sel_base_selector_try_open (SelBaseSelector  *self,
                            GError          **error)
{
  SelBaseSelectorPrivate *priv = PRIV (self);
  SelBaseSelectorClass *klass = SEL_BASE_SELECTOR_GET_CLASS (self);
  g_autoptr(GError) local_error = NULL;
  gboolean success = TRUE;

  if (klass->open != NULL)
    {
      gpointer outer = sel_base_selector_enter (priv);

      success = klass->open (self, &local_error);
      sel_base_selector_leave (priv, outer);
    }

  if (!sel_base_selector_complete_error (self, "open", success, &local_error))
    {
      g_propagate_error (error, g_steal_pointer (&local_error));
      return FALSE;
    }

  sel_base_selector_add_state (priv, SEL_STATE_OPEN);
  sel_key_table_foreach (&priv->table, sel_base_selector_unmute_slot, NULL);
  if (!sel_wakeup_open (priv->wakeup, error) || !sel_base_selector_rearm_all (self, error))
    {
      sel_base_selector_release (self);
      return FALSE;
    }

  sel_base_selector_changed (priv, -1);

  return TRUE;
}

/* An error is remembered, as there may be no constructor to tell it: every later call fails with it, until
 * sel_base_selector_reinit() tries again. */
static gboolean
sel_base_selector_open (SelBaseSelector  *self,
                        GError          **error)
{
  SelBaseSelectorPrivate *priv = PRIV (self);

  sel_base_selector_add_state (priv, SEL_STATE_OPENING);
  if (priv->open_error == NULL)
    sel_base_selector_try_open (self, &priv->open_error);
  sel_base_selector_remove_state (priv, SEL_STATE_OPENING);

  if (priv->open_error == NULL)
    return TRUE;

  if (error != NULL)
    *error = g_error_copy (priv->open_error);

  return FALSE;
}

gboolean
sel_base_selector_fail_closed (GError **error)
{
  g_set_error_literal (error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_CLOSED, "The selector is closed");

  return FALSE;
}

static gboolean
sel_base_selector_get_ready_for_use (SelBaseSelector  *self,
                                     GError          **error)
{
  SelBaseSelectorPrivate *priv = PRIV (self);

  if (sel_base_selector_is (priv, SEL_STATE_CLOSED))
    return sel_base_selector_fail_closed (error);

  if (sel_base_selector_is (priv, SEL_STATE_FORKED))
    {
      g_set_error_literal (error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_FORKED,
                           "The selector belongs to the parent process");
      return FALSE;
    }

  return sel_base_selector_is (priv, SEL_STATE_OPEN) || sel_base_selector_open (self, error);
}

/* Whether the kernel can be asked for something. */
static inline gboolean
sel_base_selector_ready_for_use (SelBaseSelector  *self,
                                 GError          **error)
{
  return G_LIKELY (sel_base_selector_is_ordinary (PRIV (self))) || sel_base_selector_get_ready_for_use (self, error);
}

gboolean
sel_base_selector_ensure_open (SelBaseSelector  *self,
                               GError          **error)
{
  SelBaseSelectorPrivate *priv = PRIV (self);
  gboolean success;

  sel_base_selector_lock (priv);
  success = sel_base_selector_ready_for_use (self, error);
  sel_base_selector_unlock (priv);

  return success;
}

static void
sel_base_selector_dispose (GObject *object)
{
  sel_base_selector_close (SEL_BASE_SELECTOR (object));

  G_OBJECT_CLASS (sel_base_selector_parent_class)->dispose (object);
}

static void
sel_base_selector_finalize (GObject *object)
{
  SelBaseSelectorPrivate *priv = PRIV (SEL_BASE_SELECTOR (object));

  g_clear_pointer (&priv->observers, g_ptr_array_unref);
  g_clear_pointer (&priv->always_ready, g_array_unref);
  g_clear_pointer (&priv->resting, g_array_unref);
  g_clear_pointer (&priv->identities, sel_fd_identities_free);
  g_clear_error (&priv->open_error);
  g_free (priv->buffer);
  g_atomic_rc_box_release (priv->wakeup);
  g_mutex_clear (&priv->lock);

  G_OBJECT_CLASS (sel_base_selector_parent_class)->finalize (object);
}

guint
sel_base_selector_get_setting (SelBaseSelector *self,
                               SelSetting       setting)
{
  SelBaseSelectorPrivate *priv = PRIV (self);
  guint value;

  sel_base_selector_lock (priv);
  value = priv->settings[setting];
  sel_base_selector_unlock (priv);

  return value;
}

void
sel_base_selector_set_setting (SelBaseSelector *self,
                               SelSetting       setting,
                               guint            value)
{
  SelBaseSelectorPrivate *priv = PRIV (self);
  gboolean changed;

  sel_base_selector_lock (priv);
  changed = priv->settings[setting] != value;
  g_atomic_int_set (&priv->settings[setting], value);
  if (changed && setting == SEL_SETTING_FORCE_MIRRORED)
    sel_base_selector_changed (priv, -1);
  sel_base_selector_unlock (priv);

  if (changed)
    g_object_notify_by_pspec (G_OBJECT (self), properties[PROP (setting)]);
}

static void
sel_base_selector_get_property (GObject    *object,
                                guint       property_id,
                                GValue     *value,
                                GParamSpec *pspec)
{
  guint setting = sel_base_selector_get_setting (SEL_BASE_SELECTOR (object), property_id - PROP (0));

  if (G_VALUE_HOLDS_BOOLEAN (value))
    g_value_set_boolean (value, setting != 0);
  else if (G_VALUE_HOLDS_UINT (value))
    g_value_set_uint (value, setting);
  else
    g_value_set_enum (value, (int) setting);
}

static void
sel_base_selector_set_property (GObject      *object,
                                guint         property_id,
                                const GValue *value,
                                GParamSpec   *pspec)
{
  guint setting;

  if (G_VALUE_HOLDS_BOOLEAN (value))
    setting = g_value_get_boolean (value);
  else if (G_VALUE_HOLDS_UINT (value))
    setting = g_value_get_uint (value);
  else
    setting = (guint) g_value_get_enum (value);

  sel_base_selector_set_setting (SEL_BASE_SELECTOR (object), property_id - PROP (0), setting);
}

/* For a mechanism that has none. */
static gboolean
sel_base_selector_real_wait (SelBaseSelector  *self,
                             gdouble           timeout,
                             GError          **error)
{
  return FALSE;
}

static void
sel_base_selector_class_init (SelBaseSelectorClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);

  pthread_atfork (NULL, NULL, sel_base_selector_count_fork);

  object_class->dispose = sel_base_selector_dispose;
  object_class->finalize = sel_base_selector_finalize;
  object_class->get_property = sel_base_selector_get_property;
  object_class->set_property = sel_base_selector_set_property;
  klass->wait = sel_base_selector_real_wait;

  /**
   * SelBaseSelector:interruptible:
   *
   * Whether a signal ends a wait early, with nothing ready. Otherwise a wait goes on with the time
   * left, as in Python since PEP 475.
   *
   * Since: 1.0
   */
  properties[PROP (SEL_SETTING_INTERRUPTIBLE)] =
    g_param_spec_boolean ("interruptible", NULL, "Whether a signal ends a wait early",
                          FALSE,
                          G_PARAM_READWRITE | G_PARAM_EXPLICIT_NOTIFY | G_PARAM_STATIC_STRINGS);

  /**
   * SelBaseSelector:emulate-always-ready:
   *
   * Whether files that are always ready, and that the kernel therefore refuses to wait for, can
   * be registered all the same: regular files and directories with epoll and kqueue, for example. They
   * are then reported by every call, and no wait blocks while one is registered. Otherwise registering them
   * fails with `EPERM` as in Python.
   *
   * Since: 1.0
   */
  properties[PROP (SEL_SETTING_EMULATE_ALWAYS_READY)] =
    g_param_spec_boolean ("emulate-always-ready", NULL, "Whether files that are always ready can be registered",
                          FALSE,
                          G_PARAM_READWRITE | G_PARAM_EXPLICIT_NOTIFY | G_PARAM_STATIC_STRINGS);

  /**
   * SelBaseSelector:force-mirrored:
   *
   * Whether a main loop polls each registered descriptor, also if it could poll a single one of the selector's
   * instead. What a program sees is the same; it costs time in proportion to the number of descriptors.
   *
   * Since: 1.0
   */
  properties[PROP (SEL_SETTING_FORCE_MIRRORED)] =
    g_param_spec_boolean ("force-mirrored", NULL, "Whether a main loop polls each registered descriptor",
                          FALSE,
                          G_PARAM_READWRITE | G_PARAM_EXPLICIT_NOTIFY | G_PARAM_STATIC_STRINGS);

  /**
   * SelBaseSelector:can-recurse:
   *
   * Whether a callback is called again, for another descriptor or the same one, while it runs a main loop of its
   * own, for example for a modal dialog. Otherwise only other callbacks are, and what is ready for this one waits until
   * it returns. A callback that runs a loop whenever it is called, and reads nothing before, then calls itself without an
   * end.
   *
   * It has no effect on sel_base_selector_create_source(), for which g_source_set_can_recurse() decides.
   *
   * Since: 1.0
   */
  properties[PROP (SEL_SETTING_CAN_RECURSE)] =
    g_param_spec_boolean ("can-recurse", NULL, "Whether a callback is called again while it runs a main loop",
                          FALSE,
                          G_PARAM_READWRITE | G_PARAM_EXPLICIT_NOTIFY | G_PARAM_STATIC_STRINGS);

  /**
   * SelBaseSelector:max-dispatch:
   *
   * For how many ready descriptors callbacks are called in one turn of a main loop, before other sources of the same
   * priority get theirs. The rest is called in the next turns.
   *
   * Since: 1.0
   */
  properties[PROP (SEL_SETTING_MAX_DISPATCH)] =
    g_param_spec_uint ("max-dispatch", NULL, "For how many ready descriptors callbacks are called in one turn",
                       1, SEL_MAX_DISPATCH, SEL_MAX_DISPATCH,
                       G_PARAM_READWRITE | G_PARAM_EXPLICIT_NOTIFY | G_PARAM_STATIC_STRINGS);

  /**
   * SelBaseSelector:hangup-policy:
   *
   * What a main loop does with a descriptor that is ready because of a hang-up or an error, and that its
   * callback neither reads to the end, nor modifies, nor unregisters. It would be ready for ever.
   *
   * Since: 1.0
   */
  properties[PROP (SEL_SETTING_HANGUP_POLICY)] =
    g_param_spec_enum ("hangup-policy", NULL, "What a main loop does with a hang-up that a callback ignores",
                       SEL_TYPE_HANGUP_POLICY, SEL_HANGUP_POLICY_THROTTLE,
                       G_PARAM_READWRITE | G_PARAM_EXPLICIT_NOTIFY | G_PARAM_STATIC_STRINGS);

  g_object_class_install_properties (object_class, N_PROPERTIES, properties);
}

static void
sel_base_selector_init (SelBaseSelector *self)
{
  SelBaseSelectorPrivate *priv = PRIV (self);

  g_mutex_init (&priv->lock);
  priv->fork_count = fork_count;
  priv->wakeup = g_atomic_rc_box_new (SelWakeup);
  *priv->wakeup = (SelWakeup) SEL_WAKEUP_INIT;
  priv->poll_fd = -1;
  priv->list_room = 64;
  priv->sink.table = &priv->table;
  priv->settings[SEL_SETTING_MAX_DISPATCH] = SEL_MAX_DISPATCH;
  priv->identities = sel_fd_identities_new ();
  priv->state = priv->identities != NULL ? SEL_STATE_IDENTIFIES : 0;
}

/* --- What backends call --- */

void
sel_base_selector_set_wait_sees_updates (SelBaseSelector *self,
                                         gboolean         wait_sees_updates)
{
  PRIV (self)->wait_sees_updates = wait_sees_updates;
}

void
sel_base_selector_set_poll_fd (SelBaseSelector *self,
                               int              poll_fd)
{
  PRIV (self)->poll_fd = poll_fd;
}

guint32
sel_base_selector_get_tag (SelBaseSelector *self)
{
  return PRIV (self)->tag;
}

SelSink *
sel_base_selector_get_sink (SelBaseSelector *self)
{
  return &PRIV (self)->sink;
}

gsize
sel_sink_get_filter_room (const SelSink *sink)
{
  /* If not all fit, a key's second report must not take the place of another key, time and again. */
  return sink->growable || sink->size >= sink->n_keys ? 2 * sink->room + 1 : sink->room;
}

void
sel_base_selector_hold_updates (SelBaseSelector *self)
{
  sel_base_selector_lock (PRIV (self));
}

void
sel_base_selector_let_updates (SelBaseSelector *self)
{
  sel_base_selector_unlock (PRIV (self));
}

gboolean
sel_base_selector_changed_during_wait (SelBaseSelector *self)
{
  return sel_base_selector_is (PRIV (self), SEL_STATE_CHANGED);
}

void
sel_base_selector_begin_reports (SelBaseSelector *self)
{
  SelBaseSelectorPrivate *priv = PRIV (self);

  sel_base_selector_lock (priv);
  priv->reporting = TRUE;
}

/* Nobody but who waits uses a sink that has no events. */
static inline void
sel_sink_set_events (SelSink       *sink,
                     SelReadyEvent *events)
{
  __atomic_store_n (&sink->events, events, __ATOMIC_RELEASE);
}

static inline gboolean
sel_sink_is_open (SelSink *sink)
{
  return __atomic_load_n (&sink->events, __ATOMIC_ACQUIRE) != NULL;
}

gboolean
sel_base_selector_grow_sink (SelBaseSelector *self,
                             gsize            size)
{
  SelBaseSelectorPrivate *priv = PRIV (self);

  if (!priv->sink.growable)
    return FALSE;

  priv->buffer_size = MAX (size, 2 * priv->buffer_size);
  priv->buffer = g_renew (SelReadyEvent, priv->buffer, priv->buffer_size);
  priv->sink.size = priv->buffer_size;
  sel_sink_set_events (&priv->sink, priv->buffer);

  return TRUE;
}

gboolean
sel_base_selector_report_unknown (SelBaseSelector *self,
                                  int              fd,
                                  guint32          tag)
{
  SelBaseSelectorPrivate *priv = PRIV (self);
  SelKeySlot *slot = sel_key_table_lookup (&priv->table, fd);

  if (slot != NULL && slot->generation == tag)
    return TRUE;

  priv->sink.wasted = TRUE;
  if (fd != priv->wakeup->read_fd)
    return FALSE;

  sel_wakeup_drain (priv->wakeup);

  return TRUE;
}

/* Finds the slot that a report without a tag is about: not one that was registered or changed after
 * the wait began, for which the next wait will speak. */
static SelKeySlot *
sel_base_selector_lookup_waited (SelBaseSelectorPrivate *priv,
                                 int                     fd)
{
  SelKeySlot *slot = sel_key_table_lookup (&priv->table, fd);

  if (slot == NULL || (gint32) (slot->generation - priv->wait_generation) > 0)
    return NULL;

  return slot;
}

void
sel_base_selector_report_untagged (SelBaseSelector *self,
                                   int              fd,
                                   SelEventMask     events)
{
  SelBaseSelectorPrivate *priv = PRIV (self);
  SelKeySlot *slot;

  priv->sink.n_reports++;
  slot = sel_base_selector_lookup_waited (priv, fd);
  if (slot != NULL && (events & slot->events) != 0)
    {
      slot->maybe_hung_up = TRUE;
      sel_base_selector_add_report (self, &priv->sink, fd, slot, events & slot->events);
    }
  else if (fd == priv->wakeup->read_fd)
    {
      /* A backend that is wrong about this one must not be asked again and again. */
      priv->sink.wasted |= sel_wakeup_drain (priv->wakeup);
    }
}

gboolean
sel_base_selector_report_closed (SelBaseSelector  *self,
                                 int               fd,
                                 GError          **error)
{
  SelBaseSelectorPrivate *priv = PRIV (self);
  SelKeySlot *slot;

  if (fd == priv->wakeup->read_fd)
    return sel_os_error_set (error, -1, EBADF);

  /* Not in a wait if a main loop has found out. */
  slot = priv->reporting ? sel_base_selector_lookup_waited (priv, fd) : sel_key_table_lookup (&priv->table, fd);
  if (slot == NULL)
    return TRUE;

  if (priv->reporting)
    {
      priv->sink.n_reports++;
      priv->sink.wasted |= slot->armed != 0;
    }

  sel_base_selector_disarm (self, fd, slot->armed);
  slot->armed = 0;
  sel_base_selector_changed (priv, fd);

  return TRUE;
}

gboolean
sel_base_selector_is_registered (SelBaseSelector *self,
                                 int              fd)
{
  SelBaseSelectorPrivate *priv = PRIV (self);

  return fd == priv->wakeup->read_fd || sel_key_table_lookup (&priv->table, fd) != NULL;
}

gboolean
sel_base_selector_update_all (SelBaseSelector  *self,
                              GError          **error)
{
  gboolean success = sel_base_selector_rearm_all (self, error);

  sel_base_selector_changed (PRIV (self), -1);

  return success;
}

gboolean
sel_base_selector_check_fd (int      fd,
                            GError **error)
{
  int flags = fcntl (fd, F_GETFL);

  if (flags < 0)
    return sel_os_error_set (error, fd, errno);

#ifdef O_PATH
  if ((flags & O_PATH) != 0)
    return sel_os_error_set (error, fd, EBADF);
#endif

  return TRUE;
}

gboolean
sel_base_selector_open_unsupported (SelBaseSelector  *self,
                                    GError          **error)
{
  g_set_error (error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_NOT_SUPPORTED,
               "%s is not supported on this system", G_OBJECT_TYPE_NAME (self));

  return FALSE;
}

SelBaseSelector *
sel_base_selector_new_open (GType    type,
                            GError **error)
{
  g_autoptr(SelBaseSelector) self = g_object_new (type, NULL);

  if (!sel_base_selector_ensure_open (self, error))
    return NULL;

  return g_steal_pointer (&self);
}

gboolean
sel_base_selector_can_open (GType type)
{
  g_autoptr(SelBaseSelector) self = sel_base_selector_new_open (type, NULL);

  return self != NULL;
}

static gboolean
sel_base_selector_check_timeout (SelBaseSelector  *self,
                                 gdouble           timeout,
                                 GError          **error)
{
  if (!isnan (timeout))
    return TRUE;

  if (sel_base_selector_ensure_open (self, error))
    g_set_error_literal (error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_INVALID_TIMEOUT,
                         "The time-out is not a number");

  return FALSE;
}

/* Begins a wait of the kind @claimed, unless one of those in @busy goes on. */
static gboolean
sel_base_selector_claim (SelBaseSelector  *self,
                         SelState          claimed,
                         SelState          busy,
                         GError          **error)
{
  SelBaseSelectorPrivate *priv = PRIV (self);
  gboolean success;
  guint state;

  sel_base_selector_lock (priv);
  success = sel_base_selector_ready_for_use (self, error);

  /* Without the lock, an ordinary wait may begin. */
  do
    {
      state = (guint) g_atomic_int_get (&priv->state);
      if (success && (state & busy) != 0)
        {
          g_set_error_literal (error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_BUSY,
                               (state & SEL_STATE_ASYNC_PENDING) != 0
                               ? "An asynchronous select is pending"
                               : "Another thread waits on the selector");
          success = FALSE;
        }
    }
  while (success && !g_atomic_int_compare_and_exchange (&priv->state, state, state | claimed));
  sel_base_selector_unlock (priv);

  return success;
}

/* --- What the main loop calls --- */

gboolean
sel_base_selector_add_observer (SelBaseSelector *self,
                                SelObserver     *observer)
{
  SelBaseSelectorPrivate *priv = PRIV (self);
  gboolean success;

  sel_base_selector_lock (priv);
  success = !sel_base_selector_is (priv, SEL_STATE_CLOSED);
  if (success)
    {
      if (priv->observers == NULL)
        priv->observers = g_ptr_array_new ();
      g_ptr_array_add (priv->observers, observer);
    }
  sel_base_selector_unlock (priv);

  return success;
}

void
sel_base_selector_remove_observer (SelBaseSelector *self,
                                   SelObserver     *observer)
{
  SelBaseSelectorPrivate *priv = PRIV (self);

  sel_base_selector_lock (priv);
  if (priv->observers != NULL)
    g_ptr_array_remove (priv->observers, observer);

  /* The others have to end what it would have ended. */
  if (sel_base_selector_is (priv, SEL_STATE_RESTS))
    sel_base_selector_notify_observers (priv, -1);
  sel_base_selector_unlock (priv);
}

int
sel_base_selector_get_poll_fd (SelBaseSelector *self)
{
  SelBaseSelectorPrivate *priv = PRIV (self);

  if (sel_base_selector_is (priv, SEL_STATE_FORKED) || priv->settings[SEL_SETTING_FORCE_MIRRORED])
    return -1;

  return priv->poll_fd;
}

SelEventMask
sel_base_selector_get_armed (SelBaseSelector *self,
                             int              fd)
{
  SelBaseSelectorPrivate *priv = PRIV (self);
  SelKeySlot *slot = sel_key_table_lookup (&priv->table, fd);

  if (!sel_base_selector_is_usable (priv))
    return 0;

  if (slot != NULL)
    return slot->armed;

  return fd == priv->wakeup->read_fd ? SEL_EVENT_READ : 0;
}

typedef struct
{
  GFunc func;
  gpointer user_data;
} ForeachData;

static void
sel_base_selector_foreach_slot (int         fd,
                                SelKeySlot *slot,
                                gpointer    user_data)
{
  ForeachData *data = user_data;

  data->func (GINT_TO_POINTER (fd), data->user_data);
}

void
sel_base_selector_foreach_armed (SelBaseSelector *self,
                                 GFunc            func,
                                 gpointer         user_data)
{
  SelBaseSelectorPrivate *priv = PRIV (self);
  ForeachData data = { func, user_data };

  if (sel_base_selector_is (priv, SEL_STATE_OPEN))
    func (GINT_TO_POINTER (priv->wakeup->read_fd), user_data);
  sel_key_table_foreach (&priv->table, sel_base_selector_foreach_slot, &data);
}

gboolean
sel_base_selector_has_always_ready (SelBaseSelector *self)
{
  SelBaseSelectorPrivate *priv = PRIV (self);

  return sel_base_selector_is (priv, SEL_STATE_ALWAYS_READY) && !sel_base_selector_is (priv, SEL_STATE_FORKED);
}

gboolean
sel_base_selector_is_after_fork (SelBaseSelector *self)
{
  return sel_base_selector_is_unnoticed_fork (PRIV (self));
}

gboolean
sel_base_selector_is_wakeup_requested (SelBaseSelector *self)
{
  return sel_base_selector_is (PRIV (self), SEL_STATE_WOKEN);
}

/* The slot that a ready event is about, or NULL if it was changed or removed since. */
static inline SelKeySlot *
sel_base_selector_find_event (SelBaseSelectorPrivate *priv,
                              const SelReadyEvent    *event)
{
  SelKeySlot *slot = sel_key_table_lookup (&priv->table, event->fd);

  return slot != NULL && slot->generation == event->generation ? slot : NULL;
}

/* Counts a call of the slot's callback. Returns whether it is time to look of what use the descriptor is. */
static inline gboolean
sel_base_selector_count_delivery (SelBaseSelectorPrivate *priv,
                                  SelKeySlot             *slot)
{
  guint n = slot->n_deliveries + 1;

  slot->n_deliveries = (guint8) (n == MAX_DELIVERIES ? n / 2 : n);

  if (slot->maybe_hung_up)
    return n % DELIVERIES_BEFORE_SUSPICION == 0 || priv->settings[SEL_SETTING_HANGUP_POLICY] == SEL_HANGUP_POLICY_ONCE;

  /* The powers of 2. */
  return n >= DELIVERIES_BEFORE_SUSPICION && (n & (n - 1)) == 0;
}

/* Reports from before are out of date, but what is called now is about the same registration: nobody has taken care
 * of it. */
static void
sel_base_selector_outdate_reports (SelBaseSelectorPrivate *priv,
                                   int                     fd,
                                   SelKeySlot             *slot)
{
  guint32 old_generation = slot->generation;

  slot->generation = sel_base_selector_next_generation (priv);
  sel_base_selector_outdate_wait (priv);
  sel_deliveries_follow (priv->deliveries, fd, old_generation, slot->generation);
}

/* Lets the kernel wait for what was muted for a while. */
static void
sel_base_selector_unrest (SelBaseSelector *self,
                          int              fd,
                          SelKeySlot      *slot)
{
  SelBaseSelectorPrivate *priv = PRIV (self);

  slot->muted = slot->resting = slot->deferred = FALSE;
  sel_base_selector_outdate_reports (priv, fd, slot);
  slot->n_deliveries = DELIVERIES_BEFORE_SUSPICION - 1;
  sel_base_selector_rearm_slot (fd, slot, self);
  sel_base_selector_changed (priv, fd);
}

/* The same for all, if the time is over. */
static void
sel_base_selector_end_rest_locked (SelBaseSelector *self,
                                   gboolean         at_once)
{
  SelBaseSelectorPrivate *priv = PRIV (self);
  g_autoptr(GArray) resting = NULL;

  if (!sel_base_selector_is (priv, SEL_STATE_RESTS) || (!at_once && g_get_monotonic_time () < priv->rest_end))
    return;

  /* Some may have to rest again. */
  resting = g_steal_pointer (&priv->resting);
  sel_base_selector_remove_state (priv, SEL_STATE_RESTS);

  for (guint i = 0; i < resting->len; i++)
    {
      int fd = g_array_index (resting, int, i);
      SelKeySlot *slot = sel_key_table_lookup (&priv->table, fd);

      if (slot != NULL && slot->resting)
        sel_base_selector_unrest (self, fd, slot);
    }
}

/* The same for what waited until a function returned; not for what is hung up. */
static void
sel_base_selector_end_deferral (SelBaseSelector *self)
{
  SelBaseSelectorPrivate *priv = PRIV (self);
  guint i = 0;

  while (priv->resting != NULL && i < priv->resting->len)
    {
      int fd = g_array_index (priv->resting, int, i);
      SelKeySlot *slot = sel_key_table_lookup (&priv->table, fd);

      if (slot == NULL || !slot->resting || slot->deferred)
        g_array_remove_index_fast (priv->resting, i);
      else
        i++;
      if (slot != NULL && slot->deferred)
        sel_base_selector_unrest (self, fd, slot);
    }

  if (priv->resting != NULL && priv->resting->len == 0)
    sel_base_selector_remove_state (priv, SEL_STATE_RESTS);
}

/* The kernel does not wait for it any more, unless it has changed since it was reported. */
static void
sel_base_selector_mute_locked (SelBaseSelector     *self,
                               const SelReadyEvent *event,
                               gboolean             rests)
{
  SelBaseSelectorPrivate *priv = PRIV (self);
  SelKeySlot *slot = sel_base_selector_find_event (priv, event);

  if (slot == NULL || sel_base_selector_is (priv, SEL_STATE_FORKED))
    return;

  sel_base_selector_disarm (self, event->fd, slot->armed);
  sel_base_selector_set_always_ready (priv, event->fd, slot, FALSE);
  slot->armed = 0;
  slot->muted = TRUE;
  slot->resting = slot->deferred = FALSE;
  sel_base_selector_outdate_reports (priv, event->fd, slot);
  if (rests)
    sel_base_selector_rest (priv, event->fd, slot);
  sel_base_selector_changed (priv, event->fd);
}

void
sel_base_selector_mute (SelBaseSelector     *self,
                        const SelReadyEvent *event,
                        gboolean             rests)
{
  SelBaseSelectorPrivate *priv = PRIV (self);

  sel_base_selector_lock (priv);
  sel_base_selector_mute_locked (self, event, rests);
  sel_base_selector_unlock (priv);
}

/* Whether @function runs already, and now runs a main loop of its own, or runs in another thread: then what is ready
 * waits until it returns. */
static inline gboolean
sel_base_selector_defer (SelBaseSelector     *self,
                         const SelReadyEvent *event,
                         SelKeySlot          *slot,
                         gconstpointer        function)
{
  SelBaseSelectorPrivate *priv = PRIV (self);
  SelDelivery *running = sel_deliveries_find (priv->deliveries, function);

  if (G_LIKELY (running == NULL) || priv->settings[SEL_SETTING_CAN_RECURSE])
    return FALSE;

  running->deferred = TRUE;
  sel_base_selector_mute_locked (self, event, TRUE);
  slot->deferred = slot->resting;

  return TRUE;
}

/* Whether a suspect may not be what is ready at all. */
static gboolean
sel_base_selector_is_doubtful (SelKeySlot *slot)
{
  return slot->n_deliveries % DELIVERIES_BEFORE_DOUBT == 0;
}

/* The callback has returned, and left something to do. Frees without the lock. */
static void
sel_base_selector_clean_up_delivery (SelBaseSelector *self,
                                     SelDelivery     *delivery)
{
  SelBaseSelectorPrivate *priv = PRIV (self);
  SelDelivery finished = *delivery;

  sel_delivery_empty (delivery);
  if (finished.deferred && sel_base_selector_is_usable (priv))
    sel_base_selector_end_deferral (self);
  sel_deliveries_bequeath (priv->deliveries, &finished);
  sel_base_selector_unlock (priv);

  sel_delivery_clear (&finished);

  sel_base_selector_lock (priv);
}

/* The callback has returned. */
static inline void
sel_base_selector_finish_delivery (SelBaseSelector *self,
                                   SelDelivery     *delivery)
{
  if (G_UNLIKELY (delivery->owns_key || delivery->owns_callback || delivery->deferred))
    sel_base_selector_clean_up_delivery (self, delivery);
  else
    sel_delivery_empty (delivery);
}

gboolean
sel_base_selector_next_delivery (SelBaseSelector *self,
                                 SelReadyEvent   *event,
                                 gconstpointer    function,
                                 SelDelivery     *delivery)
{
  SelBaseSelectorPrivate *priv = PRIV (self);
  gboolean success = FALSE;
  SelKeySlot *slot;

  sel_base_selector_lock (priv);
  sel_base_selector_finish_delivery (self, delivery);
  slot = sel_base_selector_find_event (priv, event);
  if (G_LIKELY (slot != NULL))
    {
      SelCallback *callback = sel_key_slot_get_rest (slot)->callback;

      if (callback != NULL)
        function = callback;
      success = !sel_base_selector_defer (self, event, slot, function);
      if (success)
        {
          if (delivery->thread == NULL)
            {
              delivery->thread = sel_thread_self ();
              delivery->next = priv->deliveries;
              priv->deliveries = delivery;
            }
          delivery->generation = &event->generation;
          delivery->key = sel_key_slot_get_key (slot, event->fd);
          delivery->callback = callback;
          delivery->function = function;
          delivery->asked = slot->events;
          delivery->suspect = sel_base_selector_count_delivery (priv, slot);
          delivery->doubtful = delivery->suspect && sel_base_selector_is_doubtful (slot);
        }
    }
  sel_base_selector_unlock (priv);

  return success;
}

void
sel_base_selector_end_deliveries (SelBaseSelector *self,
                                  SelDelivery     *delivery)
{
  SelBaseSelectorPrivate *priv = PRIV (self);

  /* It was in no list if nothing was called. */
  if (delivery->thread == NULL)
    return;

  sel_base_selector_lock (priv);
  sel_deliveries_remove (&priv->deliveries, delivery);
  sel_base_selector_finish_delivery (self, delivery);
  sel_base_selector_unlock (priv);
}

SelEventMask
sel_base_selector_get_suspect (SelBaseSelector     *self,
                               const SelReadyEvent *event,
                               gboolean            *doubtful)
{
  SelBaseSelectorPrivate *priv = PRIV (self);
  SelEventMask asked = 0;
  SelKeySlot *slot;

  sel_base_selector_lock (priv);
  slot = sel_base_selector_find_event (priv, event);
  if (slot != NULL && sel_base_selector_count_delivery (priv, slot))
    asked = slot->events;
  *doubtful = asked != 0 && sel_base_selector_is_doubtful (slot);
  sel_base_selector_unlock (priv);

  return asked;
}

void
sel_base_selector_end_rest (SelBaseSelector *self)
{
  SelBaseSelectorPrivate *priv = PRIV (self);

  sel_base_selector_lock (priv);
  if (sel_base_selector_is_usable (priv))
    sel_base_selector_end_rest_locked (self, TRUE);
  sel_base_selector_unlock (priv);
}

gint64
sel_base_selector_get_rest_end (SelBaseSelector *self)
{
  SelBaseSelectorPrivate *priv = PRIV (self);

  if (!sel_base_selector_is (priv, SEL_STATE_RESTS) || sel_base_selector_is (priv, SEL_STATE_FORKED))
    return -1;

  return priv->rest_end;
}

gboolean
sel_base_selector_begin_async (SelBaseSelector  *self,
                               gdouble           timeout,
                               GError          **error)
{
  if (!sel_base_selector_check_timeout (self, timeout, error) ||
      !sel_base_selector_claim (self, SEL_STATE_ASYNC_PENDING, SEL_STATE_ASYNC_PENDING | SEL_STATE_WAITING, error))
    return FALSE;

  sel_base_selector_end_rest (self);

  return TRUE;
}

void
sel_base_selector_end_async (SelBaseSelector *self)
{
  sel_base_selector_remove_state (PRIV (self), SEL_STATE_ASYNC_PENDING);
}

/* --- Looking up --- */

SelSelectorKey *
sel_base_selector_lookup (SelBaseSelector *self,
                          int              fd)
{
  SelBaseSelectorPrivate *priv = PRIV (self);
  SelSelectorKey *key = NULL;
  SelKeySlot *slot;

  sel_base_selector_lock (priv);
  slot = sel_key_table_lookup (&priv->table, fd);
  if (slot != NULL)
    key = sel_key_slot_ref_key (slot, fd);
  sel_base_selector_unlock (priv);

  return key;
}

int
sel_base_selector_resolve (SelBaseSelector  *self,
                           GObject          *fileobj,
                           GError          **error)
{
  SelBaseSelectorPrivate *priv = PRIV (self);
  g_autoptr(GError) local_error = NULL;
  int fd;

  if (sel_base_selector_is_closed (self))
    {
      sel_base_selector_fail_closed (error);
      return -1;
    }

  fd = sel_fileobj_to_fd (fileobj, &local_error);
  if (fd >= 0)
    return fd;

  sel_base_selector_lock (priv);
  fd = sel_key_table_find (&priv->table, fileobj);
  sel_base_selector_unlock (priv);

  if (fd < 0)
    g_propagate_error (error, g_steal_pointer (&local_error));

  return fd;
}

SelSelectorKey *
sel_base_selector_lookup_object (SelBaseSelector *self,
                                 GObject         *fileobj)
{
  return sel_base_selector_lookup (self, sel_base_selector_resolve (self, fileobj, NULL));
}

GPtrArray *
sel_base_selector_get_keys (SelBaseSelector *self)
{
  SelBaseSelectorPrivate *priv = PRIV (self);
  GPtrArray *keys;

  sel_base_selector_lock (priv);
  keys = sel_key_table_get_keys (&priv->table);
  sel_base_selector_unlock (priv);

  return keys;
}

guint
sel_base_selector_get_size (SelBaseSelector *self)
{
  SelBaseSelectorPrivate *priv = PRIV (self);
  guint size;

  sel_base_selector_lock (priv);
  size = priv->table.n_keys;
  sel_base_selector_unlock (priv);

  return size;
}

/* --- Registering --- */

static gboolean
sel_base_selector_check_events (SelEventMask   events,
                                GError       **error)
{
  if (events != 0 && ((guint) events & ~(guint) (SEL_EVENT_READ | SEL_EVENT_WRITE)) == 0)
    return TRUE;

  g_set_error (error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_INVALID_EVENTS,
               "Invalid events: 0x%x", (guint) events);

  return FALSE;
}

static gboolean
sel_base_selector_check_number (int      fd,
                                GError **error)
{
  if (fd >= 0)
    return TRUE;

  g_set_error (error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_INVALID_FILE,
               "Invalid descriptor: %d", fd);

  return FALSE;
}

/* A language may give a value that it does not keep alive itself. */
static gboolean
sel_base_selector_check_value (const GValue  *value,
                               GError       **error)
{
  if (value == NULL || strcmp (G_VALUE_TYPE_NAME (value), "JSObject") != 0)
    return TRUE;

  g_set_error_literal (error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_NOT_SUPPORTED,
                       "A JavaScript object cannot be kept as data: "
                       "its memory may be reused while it is registered");

  return FALSE;
}

/* The slot of a registered descriptor, or NULL and an error. */
static inline SelKeySlot *
sel_base_selector_find_slot (SelBaseSelectorPrivate  *priv,
                             int                      fd,
                             GError                 **error)
{
  SelKeySlot *slot;

  if (G_UNLIKELY (sel_base_selector_is (priv, SEL_STATE_CLOSED)))
    {
      sel_base_selector_fail_closed (error);
      return NULL;
    }

  if (!sel_base_selector_check_number (fd, error))
    return NULL;

  slot = sel_key_table_lookup (&priv->table, fd);
  if (slot == NULL)
    g_set_error (error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_NOT_REGISTERED,
                 "Descriptor %d is not registered", fd);

  return slot;
}

static gboolean
sel_base_selector_add_locked (SelBaseSelector  *self,
                              int               fd,
                              GObject          *fileobj,
                              SelEventMask      events,
                              const SelData    *data,
                              SelSelectorKey  **key,
                              GError          **error)
{
  SelBaseSelectorPrivate *priv = PRIV (self);
  Arming arming;
  SelKeySlot *slot;
  SelKeyRest *rest;

  if (!sel_base_selector_ready_for_use (self, error) ||
      !sel_base_selector_check_events (events, error) ||
      !sel_base_selector_check_number (fd, error) ||
      !sel_base_selector_check_value (data->value, error))
    return FALSE;

  if (fd == priv->wakeup->read_fd || sel_key_table_lookup (&priv->table, fd) != NULL)
    {
      g_set_error (error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_ALREADY_REGISTERED,
                   "Descriptor %d is already registered", fd);
      return FALSE;
    }

  arming.generation = sel_base_selector_next_generation (priv);
  if (!sel_base_selector_arm (self, fd, 0, events, &arming, error))
    return FALSE;

  slot = sel_key_table_insert (&priv->table, fd, events);
  slot->data = data->data;
  rest = sel_key_slot_get_rest (slot);
  rest->attachment = sel_attachment_new (fileobj, data->data, data->destroy, data->value);
  rest->callback = data->callback;
  sel_base_selector_set_armed (priv, fd, slot, &arming);
  sel_base_selector_changed (priv, fd);

  if (key != NULL)
    *key = sel_key_slot_ref_key (slot, fd);

  return TRUE;
}

gboolean
sel_base_selector_add (SelBaseSelector  *self,
                       int               fd,
                       GObject          *fileobj,
                       SelEventMask      events,
                       const SelData    *data,
                       SelSelectorKey  **key,
                       GError          **error)
{
  SelBaseSelectorPrivate *priv = PRIV (self);
  gboolean success;

  sel_base_selector_lock (priv);
  success = sel_base_selector_add_locked (self, fd, fileobj, events, data, key, error);
  sel_base_selector_unlock (priv);

  if (!success)
    sel_callback_free (data->callback);

  return success;
}

/* What the slot owned moves to @removed, to be freed when the selector is not locked any more. */
static void
sel_base_selector_remove_slot (SelBaseSelector *self,
                               int              fd,
                               SelKeySlot      *slot,
                               SelKeyRest      *removed)
{
  SelBaseSelectorPrivate *priv = PRIV (self);

  sel_base_selector_check_identity (priv, fd);
  if (priv->identities != NULL)
    sel_fd_identities_forget (priv->identities, fd);
  sel_base_selector_disarm (self, fd, slot->armed);
  sel_base_selector_set_always_ready (priv, fd, slot, FALSE);
  sel_key_table_remove (&priv->table, fd, removed);
  sel_base_selector_outdate_wait (priv);
  sel_base_selector_changed (priv, fd);
}

/* With the lock held: who knows where callbacks are called, or NULL. */
static SelObserver *
sel_base_selector_ref_observer (SelBaseSelectorPrivate *priv)
{
  SelObserver *observer;

  if (priv->observers == NULL || priv->observers->len == 0)
    return NULL;

  observer = g_ptr_array_index (priv->observers, 0);
  observer->funcs->ref (observer);

  return observer;
}

/* Frees callbacks where they are called, so that they are over for good. Gives back the reference to @observer. */
static void
sel_base_selector_free_callbacks (SelObserver    *observer,
                                  GDestroyNotify  func,
                                  gpointer        callbacks)
{
  if (observer != NULL)
    observer->funcs->invoke (observer, func, callbacks);
  else
    func (callbacks);
}

/* Unlocks, and then frees what a slot owned, unless it is in use. */
static inline void
sel_base_selector_unlock_and_free (SelBaseSelectorPrivate *priv,
                                   SelKeyRest             *removed)
{
  SelObserver *observer;

  if (priv->deliveries != NULL)
    sel_deliveries_spare (priv->deliveries, removed);
  observer = removed->callback != NULL ? sel_base_selector_ref_observer (priv) : NULL;

  sel_base_selector_unlock (priv);

  if (removed->callback != NULL)
    sel_base_selector_free_callbacks (observer, (GDestroyNotify) sel_callback_free,
                                      g_steal_pointer (&removed->callback));
  if (removed->key != NULL || removed->attachment != NULL)
    sel_key_rest_clear (removed);
}

gboolean
sel_base_selector_remove (SelBaseSelector  *self,
                          int               fd,
                          SelSelectorKey  **key,
                          GError          **error)
{
  SelBaseSelectorPrivate *priv = PRIV (self);
  SelKeyRest removed = { 0 };
  SelKeySlot *slot;

  sel_base_selector_lock (priv);
  slot = sel_base_selector_find_slot (priv, fd, error);
  if (slot != NULL)
    {
      if (key != NULL)
        *key = sel_key_slot_ref_key (slot, fd);
      sel_base_selector_remove_slot (self, fd, slot, &removed);
    }
  sel_base_selector_unlock_and_free (priv, &removed);

  return slot != NULL;
}

void
sel_base_selector_remove_callback (SelBaseSelector *self,
                                   int              fd,
                                   SelCallback     *callback)
{
  SelBaseSelectorPrivate *priv = PRIV (self);
  SelKeyRest removed = { 0 };
  SelKeySlot *slot;

  sel_base_selector_lock (priv);
  slot = sel_key_table_lookup (&priv->table, fd);
  if (slot != NULL && sel_key_slot_get_rest (slot)->callback == callback)
    sel_base_selector_remove_slot (self, fd, slot, &removed);
  sel_base_selector_unlock_and_free (priv, &removed);
}

gboolean
sel_base_selector_replace_callback (SelBaseSelector  *self,
                                    int               fd,
                                    SelCallback      *callback,
                                    GError          **error)
{
  SelBaseSelectorPrivate *priv = PRIV (self);
  SelKeyRest removed = { .callback = callback };
  SelKeySlot *slot;

  sel_base_selector_lock (priv);
  slot = sel_base_selector_find_slot (priv, fd, error);
  if (slot != NULL)
    {
      SelKeyRest *rest = sel_key_slot_get_rest (slot);

      removed.callback = rest->callback;
      rest->callback = callback;
    }
  sel_base_selector_unlock_and_free (priv, &removed);

  return slot != NULL;
}

/* Tells the kernel of new events for a slot. If it refuses, the descriptor is no longer registered. */
static SEL_ALWAYS_INLINE gboolean
sel_base_selector_rearm (SelBaseSelector  *self,
                         int               fd,
                         SelKeySlot       *slot,
                         SelEventMask      old_events,
                         SelEventMask      new_events,
                         SelKeyRest       *removed,
                         GError          **error)
{
  SelBaseSelectorPrivate *priv = PRIV (self);
  Arming arming = { .generation = sel_base_selector_next_generation (priv) };

  if (!sel_base_selector_arm (self, fd, old_events, new_events, &arming, error))
    {
      sel_base_selector_remove_slot (self, fd, slot, removed);
      return FALSE;
    }

  slot->events = new_events;
  sel_base_selector_set_armed (priv, fd, slot, &arming);
  sel_base_selector_outdate_wait (priv);
  sel_base_selector_changed (priv, fd);

  return TRUE;
}

static gboolean
sel_value_equal (const GValue *a,
                 const GValue *b)
{
  if (a == NULL || b == NULL)
    return a == b;

  if (G_VALUE_TYPE (a) != G_VALUE_TYPE (b))
    return FALSE;

  if (g_value_fits_pointer (a))
    return g_value_peek_pointer (a) == g_value_peek_pointer (b);

  return memcmp (a->data, b->data, sizeof a->data) == 0;
}

/* Whether @data is what the slot has, by identity. Nothing is ever compared by value. */
static gboolean
sel_base_selector_has_data (SelKeySlot    *slot,
                            const SelData *data)
{
  SelAttachment *attachment = sel_key_slot_get_rest (slot)->attachment;

  return slot->data == data->data &&
         sel_attachment_get_destroy (attachment) == data->destroy &&
         sel_value_equal (sel_attachment_get_value (attachment), data->value);
}

/* @data is NULL to keep what there is. */
static gboolean
sel_base_selector_change_locked (SelBaseSelector  *self,
                                 int               fd,
                                 SelEventMask      events,
                                 const SelData    *data,
                                 SelSelectorKey  **key,
                                 SelKeyRest       *removed,
                                 GError          **error)
{
  SelBaseSelectorPrivate *priv = PRIV (self);
  SelKeySlot *slot;
  SelKeyRest *rest;

  if (!sel_base_selector_ready_for_use (self, error) ||
      !sel_base_selector_check_events (events, error) ||
      (data != NULL && !sel_base_selector_check_value (data->value, error)))
    return FALSE;

  slot = sel_base_selector_find_slot (priv, fd, error);
  if (slot == NULL)
    return FALSE;

  rest = sel_key_slot_get_rest (slot);
  sel_base_selector_check_identity (priv, fd);

  if (events != slot->events || slot->muted)
    {
      gboolean new_key = events != slot->events;

      if (!sel_base_selector_rearm (self, fd, slot, slot->armed, events, removed, error))
        return FALSE;

      if (new_key)
        removed->key = g_steal_pointer (&rest->key);
    }

  if (data != NULL && !sel_base_selector_has_data (slot, data))
    {
      if (removed->key == NULL)
        removed->key = g_steal_pointer (&rest->key);
      removed->attachment = rest->attachment;
      rest->attachment = sel_attachment_new (sel_attachment_get_fileobj (rest->attachment),
                                             data->data, data->destroy, data->value);
      slot->data = data->data;
    }

  if (key != NULL)
    *key = sel_key_slot_ref_key (slot, fd);

  return TRUE;
}

gboolean
sel_base_selector_change (SelBaseSelector  *self,
                          int               fd,
                          SelEventMask      events,
                          const SelData    *data,
                          SelSelectorKey  **key,
                          GError          **error)
{
  SelBaseSelectorPrivate *priv = PRIV (self);
  SelKeyRest removed = { 0 };
  gboolean success;

  sel_base_selector_lock (priv);
  success = sel_base_selector_change_locked (self, fd, events, data, key, &removed, error);
  sel_base_selector_unlock_and_free (priv, &removed);

  return success;
}

/**
 * sel_base_selector_refresh:
 * @self: a selector
 * @fd: a registered descriptor
 * @error: return location for an error, or %NULL
 *
 * Tells the kernel anew what is waited for on @fd. That is needed if @fd was closed and its number
 * now stands for another file, without sel_base_selector_unregister() in between.
 *
 * Fails like sel_base_selector_modify(), with the same effect if the kernel refuses.
 *
 * Returns: %TRUE on success
 *
 * Since: 1.0
 */
gboolean
sel_base_selector_refresh (SelBaseSelector  *self,
                           int               fd,
                           GError          **error)
{
  SelBaseSelectorPrivate *priv;
  SelKeyRest removed = { 0 };
  gboolean success = FALSE;
  SelKeySlot *slot = NULL;

  g_return_val_if_fail (sel_is_base_selector (self), FALSE);
  g_return_val_if_fail (error == NULL || *error == NULL, FALSE);

  priv = PRIV (self);

  sel_base_selector_lock (priv);
  if (sel_base_selector_ready_for_use (self, error))
    slot = sel_base_selector_find_slot (priv, fd, error);
  if (slot != NULL)
    {
      sel_base_selector_disarm (self, fd, slot->armed);
      slot->armed = 0;
      success = sel_base_selector_rearm (self, fd, slot, 0, slot->events, &removed, error);
    }
  sel_base_selector_unlock_and_free (priv, &removed);

  return success;
}

/**
 * sel_base_selector_get_key:
 * @self: a selector
 * @fd: a registered descriptor
 * @error: return location for an error, or %NULL
 *
 * Gets the key of @fd: the same object each time, until @fd is modified or unregistered.
 *
 * Fails with %SEL_SELECTOR_ERROR_NOT_REGISTERED, %SEL_SELECTOR_ERROR_INVALID_FILE if @fd is
 * negative, or %SEL_SELECTOR_ERROR_CLOSED.
 *
 * Returns: (transfer full): the key
 *
 * Since: 1.0
 */
SelSelectorKey *
sel_base_selector_get_key (SelBaseSelector  *self,
                           int               fd,
                           GError          **error)
{
  SelBaseSelectorPrivate *priv;
  SelSelectorKey *key = NULL;
  SelKeySlot *slot;

  g_return_val_if_fail (sel_is_base_selector (self), NULL);
  g_return_val_if_fail (error == NULL || *error == NULL, NULL);

  priv = PRIV (self);

  sel_base_selector_lock (priv);
  slot = sel_base_selector_find_slot (priv, fd, error);
  if (slot != NULL)
    key = sel_key_slot_ref_key (slot, fd);
  sel_base_selector_unlock (priv);

  return key;
}

/**
 * sel_base_selector_get_key_object:
 * @self: a selector
 * @fileobj: a registered object
 * @error: return location for an error, or %NULL
 *
 * Gets the key of the descriptor of @fileobj, which is found as in
 * sel_base_selector_unregister_object(). Fails like that function.
 *
 * Returns: (transfer full): the key
 *
 * Since: 1.0
 */
SelSelectorKey *
sel_base_selector_get_key_object (SelBaseSelector  *self,
                                  GObject          *fileobj,
                                  GError          **error)
{
  int fd;

  g_return_val_if_fail (sel_is_base_selector (self), NULL);
  g_return_val_if_fail (G_IS_OBJECT (fileobj), NULL);
  g_return_val_if_fail (error == NULL || *error == NULL, NULL);

  fd = sel_base_selector_resolve (self, fileobj, error);

  return fd >= 0 ? sel_base_selector_get_key (self, fd, error) : NULL;
}

/**
 * sel_base_selector_get_map:
 * @self: a selector
 *
 * Gets a live view of what is registered: the same object each time.
 *
 * Returns: (transfer none) (nullable): the mapping, or %NULL if @self is closed
 *
 * Since: 1.0
 */
SelSelectorMapping *
sel_base_selector_get_map (SelBaseSelector *self)
{
  SelBaseSelectorPrivate *priv;
  SelSelectorMapping *map;

  g_return_val_if_fail (sel_is_base_selector (self), NULL);

  priv = PRIV (self);

  sel_base_selector_lock (priv);
  if (priv->map == NULL && !sel_base_selector_is (priv, SEL_STATE_CLOSED))
    priv->map = sel_selector_mapping_new (self);
  map = priv->map;
  sel_base_selector_unlock (priv);

  return map;
}

/**
 * sel_base_selector_check:
 * @self: a selector
 * @error: return location for an error, or %NULL
 *
 * Looks for registered descriptors that are closed. They are never reported, so this helps to find
 * out why a program waits for ever. It makes one system call for each key.
 *
 * Fails with %SEL_SELECTOR_ERROR_CLOSED if @self is closed.
 *
 * Returns: (transfer container) (element-type SelSelectorKey): the keys of closed descriptors, in the
 *   order of their registration; free with g_ptr_array_unref()
 *
 * Since: 1.0
 */
GPtrArray *
sel_base_selector_check (SelBaseSelector  *self,
                         GError          **error)
{
  GPtrArray *keys;
  guint n = 0;

  g_return_val_if_fail (sel_is_base_selector (self), NULL);
  g_return_val_if_fail (error == NULL || *error == NULL, NULL);

  if (sel_base_selector_is_closed (self))
    {
      sel_base_selector_fail_closed (error);
      return NULL;
    }

  keys = sel_base_selector_get_keys (self);
  while (n < keys->len)
    {
      if (fcntl (sel_selector_key_get_fd (g_ptr_array_index (keys, n)), F_GETFD) < 0)
        n++;
      else
        g_ptr_array_remove_index (keys, n);
    }

  return keys;
}

/* --- Waiting --- */

static void
sel_base_selector_report_always_ready (SelBaseSelector *self)
{
  SelBaseSelectorPrivate *priv = PRIV (self);
  guint n = priv->always_ready->len;

  for (guint i = 0; i < n; i++)
    {
      int fd = g_array_index (priv->always_ready, int, (priv->turn + i) % n);

      SelKeySlot *slot = sel_key_table_lookup (&priv->table, fd);

      slot->maybe_hung_up = TRUE;
      sel_base_selector_add_report (self, &priv->sink, fd, slot, slot->events);
    }
}

/* Nobody else would notice that one of these was closed. Returns whether any is left. */
static gboolean
sel_base_selector_check_always_ready (SelBaseSelectorPrivate *priv)
{
  guint i = 0;

  if (!sel_base_selector_is (priv, SEL_STATE_ALWAYS_READY))
    return FALSE;

  while (i < priv->always_ready->len)
    {
      int fd = g_array_index (priv->always_ready, int, i);

      if (fcntl (fd, F_GETFD) >= 0)
        i++;
      else
        sel_base_selector_set_always_ready (priv, fd, sel_key_table_lookup (&priv->table, fd), FALSE);
    }

  return priv->always_ready->len > 0;
}

/* Only the process can know why so many descriptors are too many. */
static void
sel_base_selector_explain_limit (SelBaseSelectorPrivate  *priv,
                                 GError                 **error)
{
  struct rlimit limit;

  if (!sel_base_selector_is_os_error (*error, EINVAL) ||
      getrlimit (RLIMIT_NOFILE, &limit) < 0 || priv->table.n_keys < limit.rlim_cur)
    return;

  g_prefix_error (error, "%u descriptors are registered, but RLIMIT_NOFILE is only %lu: ",
                  priv->table.n_keys, (gulong) limit.rlim_cur);
}

/* What has to be done about a wait that failed. TRUE if that is no reason to fail: a signal that came, or the end of
 * the selector, is for the caller. */
static gboolean
sel_base_selector_handle_failure (SelBaseSelector  *self,
                                  gboolean          success,
                                  GError           *local_error,
                                  gboolean         *interrupted,
                                  GError          **error)
{
  SelBaseSelectorPrivate *priv = PRIV (self);

  if (sel_base_selector_complete_error (self, "wait", success, &local_error))
    return TRUE;

  *interrupted = sel_base_selector_is_os_error (local_error, EINTR);
  if (*interrupted || sel_base_selector_is (priv, SEL_STATE_CLOSED))
    {
      g_error_free (local_error);
      return TRUE;
    }

  sel_base_selector_explain_limit (priv, &local_error);
  g_propagate_error (error, local_error);

  return FALSE;
}

/* Drops the records of what was changed or removed, by another thread or in wait(), after it was reported. The slots know
 * then where the others stand. */
static void
sel_base_selector_drop_stale (SelBaseSelectorPrivate *priv)
{
  SelSink *sink = &priv->sink;
  gsize n = 0;

  for (gsize i = 0; i < sink->n_events; i++)
    {
      SelKeySlot *slot = sel_key_table_lookup (&priv->table, sink->events[i].fd);

      if (slot == NULL || slot->generation != sink->events[i].generation)
        continue;

      *sel_key_slot_get_report (slot) = (guint32) n;
      sink->events[n++] = sink->events[i];
    }
  sink->n_events = n;
  sel_base_selector_remove_state (priv, SEL_STATE_CHANGED);
}

static gdouble
sel_get_time (void)
{
  return (gdouble) g_get_monotonic_time () / G_USEC_PER_SEC;
}

/* A wake-up is meant for who waits, now or next, not for the callbacks of a main loop. */
static void
sel_base_selector_take_wakeup (SelBaseSelectorPrivate *priv)
{
  if ((priv->sink.flags & SEL_SINK_DISPATCHES) == 0)
    {
      sel_base_selector_remove_state (priv, SEL_STATE_WOKEN);
      priv->sink.woken = TRUE;
    }
  else if (sel_base_selector_is (priv, SEL_STATE_ASYNC_PENDING))
    {
      sel_base_selector_notify_observers (priv, -1);
    }
}

/* Whether more is ready than a wait had room for that must be in the list. */
static gboolean
sel_base_selector_wants_more (SelBaseSelectorPrivate *priv)
{
  const SelSink *sink = &priv->sink;

  /* From now on ask for more. */
  if (sink->growable && sink->room == priv->list_room)
    {
      priv->list_room = MAX (2 * priv->list_room, priv->table.n_keys + 1);
      return TRUE;
    }

  return sink->wasted && (sink->growable || sink->n_events < sink->size);
}

/* What an extraordinary wait in the kernel begins with. Returns how long it can be: not at all if something is ready
 * without it or a call wants it to end; not beyond the time when what rests, as the kernel refused it, is to be
 * tried again. */
static gdouble
sel_base_selector_prepare_wait (SelBaseSelector *self,
                                gdouble          timeout,
                                gboolean         is_first)
{
  SelBaseSelectorPrivate *priv = PRIV (self);

  sel_base_selector_lock (priv);
  sel_base_selector_end_rest_locked (self, is_first && sel_base_selector_is (priv, SEL_STATE_WAITING));
  if (is_first)
    sel_base_selector_remove_state (priv, SEL_STATE_CHANGED);
  if (is_first && sel_base_selector_is (priv, SEL_STATE_ALWAYS_READY) &&
      ++priv->turn % 2 == 0 && sel_base_selector_check_always_ready (priv))
    sel_base_selector_report_always_ready (self);

  if (sel_base_selector_check_always_ready (priv) || sel_base_selector_is (priv, SEL_STATE_WOKEN))
    timeout = 0;
  else if (sel_base_selector_is (priv, SEL_STATE_RESTS))
    timeout = MIN (timeout, MAX (0, (gdouble) (priv->rest_end - g_get_monotonic_time ()) / G_USEC_PER_SEC));
  sel_base_selector_unlock (priv);

  return timeout;
}

/* What happened during the wait in the kernel that has to be known before what is ready can be used. */
static gboolean
sel_base_selector_check_waited (SelBaseSelector  *self,
                                GCancellable     *cancellable,
                                GError          **error)
{
  SelBaseSelectorPrivate *priv = PRIV (self);

  /* A warning may have a handler that closes the selector. */
  for (gsize i = 0; priv->identities != NULL && !sel_base_selector_is (priv, SEL_STATE_CLOSED) &&
                    i < priv->sink.n_events; i++)
    sel_base_selector_check_identity (priv, priv->sink.events[i].fd);

  if (sel_base_selector_is (priv, SEL_STATE_CLOSED))
    return sel_base_selector_fail_closed (error);

  if (g_cancellable_set_error_if_cancelled (cancellable, error))
    return FALSE;

  if (sel_base_selector_is (priv, SEL_STATE_CHANGED))
    sel_base_selector_drop_stale (priv);

  return TRUE;
}

/* What the kernel does not tell. Returns whether the wait is over for it. */
static gboolean
sel_base_selector_complete_wait (SelBaseSelector *self)
{
  SelBaseSelectorPrivate *priv = PRIV (self);

  if (sel_base_selector_is (priv, SEL_STATE_ALWAYS_READY))
    {
      /* What became so in this wait may stand in the list already. */
      sel_base_selector_drop_stale (priv);
      sel_base_selector_report_always_ready (self);
    }

  if (!sel_base_selector_is (priv, SEL_STATE_WOKEN))
    return FALSE;

  sel_base_selector_take_wakeup (priv);

  return TRUE;
}

/* Whether a signal ends the wait. */
static gboolean
sel_base_selector_is_interruptible (SelBaseSelectorPrivate *priv)
{
  return (priv->sink.flags & SEL_SINK_INTERRUPTIBLE) != 0 || priv->settings[SEL_SETTING_INTERRUPTIBLE];
}

typedef enum
{
  SEL_WAITED_FAILED,
  SEL_WAITED_ENOUGH,
  SEL_WAITED_TOO_SHORT,
  SEL_WAITED_FOR_MORE       /* more is ready than there was room for */
} SelWaited;

/* One wait in the kernel, with the lock held after it, but not before. @timeout is for this one, @polls is whether the
 * whole wait has none. */
static SEL_ALWAYS_INLINE SelWaited
sel_base_selector_wait_once (SelBaseSelector        *self,
                             SelBaseSelectorPrivate *priv,
                             gdouble                 timeout,
                             gboolean                polls,
                             gboolean                is_first,
                             gboolean                growable,
                             GCancellable           *cancellable,
                             GError                **error)
{
  SelBaseSelectorClass *klass = SEL_BASE_SELECTOR_GET_CLASS (self);
  SelSink *sink = &priv->sink;
  GError *local_error = NULL;
  gboolean interrupted = FALSE;
  gboolean is_ordinary, success;

  if (G_UNLIKELY (!sel_base_selector_is_ordinary (priv)))
    timeout = sel_base_selector_prepare_wait (self, timeout, is_first);

  priv->wait_generation = sel_base_selector_get_generation (priv);
  sink->n_keys = sel_key_table_get_n_keys (&priv->table);
  sink->room = MIN (growable ? priv->list_room : sink->size, sink->n_keys + 1);
  if (growable && sink->size < sink->room)
    {
      sel_base_selector_lock (priv);
      sel_base_selector_grow_sink (self, sink->room);
      sel_base_selector_unlock (priv);
    }
  sink->n_reports = 0;
  sink->wasted = FALSE;

  success = klass->wait (self, timeout, &local_error);

  if (G_LIKELY (priv->reporting))
    priv->reporting = FALSE;
  else
    sel_base_selector_lock (priv);

  if (G_UNLIKELY (!success || local_error != NULL) &&
      !sel_base_selector_handle_failure (self, success, local_error, &interrupted, error))
    return SEL_WAITED_FAILED;

  is_ordinary = sel_base_selector_is_ordinary (priv);
  if (G_UNLIKELY (!is_ordinary || cancellable != NULL) &&
      !sel_base_selector_check_waited (self, cancellable, error))
    return SEL_WAITED_FAILED;

  if (G_UNLIKELY (sink->n_reports >= sink->room) && sel_base_selector_wants_more (priv))
    {
      sel_base_selector_drop_stale (priv);
      return SEL_WAITED_FOR_MORE;
    }

  if ((G_UNLIKELY (!is_ordinary) && sel_base_selector_complete_wait (self)) ||
      sink->n_events > 0 ||
      (interrupted ? sel_base_selector_is_interruptible (priv) : polls))
    return SEL_WAITED_ENOUGH;

  return SEL_WAITED_TOO_SHORT;
}

/* Goes on until there is a reason to return, with the lock held before and after. */
static gboolean
sel_base_selector_wait_on (SelBaseSelector  *self,
                           SelWaited         waited,
                           gdouble           timeout,
                           gdouble           deadline,
                           GCancellable     *cancellable,
                           GError          **error)
{
  SelBaseSelectorPrivate *priv = PRIV (self);

  while (waited != SEL_WAITED_FAILED && waited != SEL_WAITED_ENOUGH)
    {
      gdouble limit = 0;

      if (waited == SEL_WAITED_TOO_SHORT)
        {
          if (deadline > 0)
            timeout = MIN (timeout, deadline - sel_get_time ());
          if (timeout <= 0 && deadline > 0)
            return TRUE;
          limit = timeout;
        }

      sel_base_selector_unlock (priv);
      waited = sel_base_selector_wait_once (self, priv, limit, timeout <= 0, FALSE, priv->sink.growable,
                                            cancellable, error);
    }

  return waited == SEL_WAITED_ENOUGH;
}

static void
sel_base_selector_cancelled (GCancellable *cancellable,
                             gpointer      user_data)
{
  sel_wakeup_signal (user_data);
}

/* A wait that @cancellable can end, with the lock held after it, but not before. */
static gboolean
sel_base_selector_wait_cancellable (SelBaseSelector  *self,
                                    gdouble           timeout,
                                    gdouble           deadline,
                                    GCancellable     *cancellable,
                                    GError          **error)
{
  SelBaseSelectorPrivate *priv = PRIV (self);
  SelWaited waited;
  gboolean success;
  gulong id = 0;

  if (g_cancellable_set_error_if_cancelled (cancellable, error))
    {
      sel_base_selector_lock (priv);
      return FALSE;
    }

  if (timeout > 0)
    id = g_cancellable_connect (cancellable, G_CALLBACK (sel_base_selector_cancelled),
                                g_atomic_rc_box_acquire (priv->wakeup), g_atomic_rc_box_release);

  waited = sel_base_selector_wait_once (self, priv, timeout, timeout <= 0, TRUE, priv->sink.growable,
                                        cancellable, error);
  success = sel_base_selector_wait_on (self, waited, timeout, deadline, cancellable, error);

  /* If the handler is running it goes on, with its own reference: who waited for its end could not hold the lock, and
   * what is ready would not be so any more. */
  if (id != 0)
    g_signal_handler_disconnect (cancellable, id);

  return success;
}

/* Ends what sel_base_selector_collect() began, with the lock held before it, but not after. */
static inline void
sel_base_selector_end_wait (SelBaseSelectorPrivate *priv)
{
  sel_sink_set_events (&priv->sink, NULL);
  sel_base_selector_remove_state (priv, SEL_STATE_IN_WAIT | SEL_STATE_CHANGED);
  sel_base_selector_unlock (priv);
}

/*
 * What all forms of select() have in common. Stores what is ready in @events or, if that is NULL, in a buffer of the
 * selector's, which then waits, and is locked, until sel_base_selector_end_wait(). Returns how many, or -1.
 *
 * It becomes part of its callers, for which much of it does not apply.
 */
static SEL_ALWAYS_INLINE gssize
sel_base_selector_collect (SelBaseSelector  *self,
                           gdouble           timeout,
                           SelReadyEvent    *events,
                           gsize             n_events,
                           SelSinkFlags      flags,
                           GCancellable     *cancellable,
                           GError          **error)
{
  SelBaseSelectorPrivate *priv = PRIV (self);
  SelState claimed = (flags & SEL_SINK_IN_MAIN_LOOP) != 0 ? SEL_STATE_LOOKING : SEL_STATE_WAITING;
  SelSink *sink = &priv->sink;
  gdouble deadline = 0;
  gboolean success;

  if (!sel_timeout_is_forever (timeout))
    {
      if (!sel_base_selector_check_timeout (self, timeout, error))
        return -1;

      if (timeout > 0)
        deadline = sel_get_time () + timeout;
      else
        timeout = 0; /* also instead of a zero with a sign */
    }

  if (G_UNLIKELY (sel_base_selector_is_unnoticed_fork (priv) ||
                  !g_atomic_int_compare_and_exchange (&priv->state, SEL_STATE_OPEN, SEL_STATE_OPEN | claimed)) &&
      !sel_base_selector_claim (self, claimed, claimed == SEL_STATE_LOOKING
                                               ? SEL_STATE_IN_WAIT
                                               : SEL_STATE_IN_WAIT | SEL_STATE_ASYNC_PENDING, error))
    return -1;

  sink->growable = events == NULL;
  sink->n_events = 0;
  sink->flags = flags;
  sink->size = events != NULL ? n_events : priv->buffer_size;
  if ((flags & SEL_SINK_DISPATCHES) != 0)
    {
      gsize max_dispatch = (gsize) g_atomic_int_get (&priv->settings[SEL_SETTING_MAX_DISPATCH]);

      sink->size = MIN (sink->size, max_dispatch);
    }
  if ((flags & SEL_SINK_COMPLETES) != 0)
    sink->woken = FALSE;
  sel_sink_set_events (sink, events != NULL ? events : priv->buffer);

  if (G_UNLIKELY (cancellable != NULL))
    {
      success = sel_base_selector_wait_cancellable (self, timeout, deadline, cancellable, error);
    }
  else
    {
      SelWaited waited = sel_base_selector_wait_once (self, priv, timeout, timeout <= 0, TRUE, events == NULL,
                                                      NULL, error);

      success = G_LIKELY (waited == SEL_WAITED_ENOUGH) ||
                sel_base_selector_wait_on (self, waited, timeout, deadline, NULL, error);
    }

  if (G_UNLIKELY (!success))
    {
      if (sel_base_selector_is (priv, SEL_STATE_CLOSED))
        sel_base_selector_release (self);
      sel_base_selector_end_wait (priv);
      return -1;
    }

  n_events = sink->n_events;
  if (events != NULL)
    sel_base_selector_end_wait (priv);

  return (gssize) n_events;
}

/* The same for the forms that make a list. */
static gboolean
sel_base_selector_collect_list (SelBaseSelector  *self,
                                gdouble           timeout,
                                SelSinkFlags      flags,
                                GCancellable     *cancellable,
                                GError          **error)
{
  return sel_base_selector_collect (self, timeout, NULL, 0, flags, cancellable, error) >= 0;
}

/* The result of select(), made of what was collected. */
static GPtrArray *
sel_base_selector_list_and_end_wait (SelBaseSelector *self)
{
  SelBaseSelectorPrivate *priv = PRIV (self);
  const SelSink *sink = &priv->sink;
  GPtrArray *events = g_ptr_array_new_full ((guint) sink->n_events, (GDestroyNotify) sel_selector_event_unref);

  for (gsize i = 0; i < sink->n_events; i++)
    {
      const SelReadyEvent *event = &sink->events[i];
      SelKeySlot *slot = sel_key_table_lookup (&priv->table, event->fd);

      g_ptr_array_add (events, sel_selector_event_new (sel_key_slot_ref_key (slot, event->fd),
                                                       event->events));
    }
  sel_base_selector_end_wait (priv);

  return events;
}

gssize
sel_base_selector_peek_ready (SelBaseSelector  *self,
                              SelReadyEvent    *events,
                              gsize             n_events,
                              GError          **error)
{
  return sel_base_selector_collect (self, 0, events, n_events, SEL_SINK_DISPATCHES, NULL, error);
}

GPtrArray *
sel_base_selector_peek (SelBaseSelector  *self,
                        gboolean         *woken,
                        GError          **error)
{
  if (!sel_base_selector_collect_list (self, 0, SEL_SINK_COMPLETES, NULL, error))
    return NULL;

  *woken = PRIV (self)->sink.woken;

  return sel_base_selector_list_and_end_wait (self);
}

/**
 * sel_base_selector_select:
 * @self: a selector
 * @timeout: seconds to wait at most; 0 or less does not wait, %SEL_WAIT_FOREVER has no end
 * @cancellable: (nullable): ends the wait when it is cancelled, or %NULL
 * @error: return location for an error, or %NULL
 *
 * Waits until something that is registered is ready, or until the time is over. The list has
 * one element for each descriptor that is ready, in no particular order.
 *
 * The wait also ends, with what is ready by then or an empty list, if sel_base_selector_wakeup() is
 * called, and by a signal if #SelBaseSelector:interruptible is set. It never ends
 * before its time otherwise. It can be longer by what the kernel's clock needs.
 *
 * Fails with %SEL_SELECTOR_ERROR_INVALID_TIMEOUT if @timeout is not a number, with
 * %SEL_SELECTOR_ERROR_BUSY if another thread waits, with %SEL_SELECTOR_ERROR_CLOSED, also if @self is closed
 * during the wait, with %SEL_SELECTOR_ERROR_FORKED, with %G_IO_ERROR_CANCELLED, or with a %SEL_OS_ERROR. Nothing
 * is lost: what was ready is reported by the next call.
 *
 * Returns: (transfer container) (element-type SelSelectorEvent): what is ready; free with
 *   g_ptr_array_unref()
 *
 * Since: 1.0
 */
GPtrArray *
sel_base_selector_select (SelBaseSelector  *self,
                          gdouble           timeout,
                          GCancellable     *cancellable,
                          GError          **error)
{
  g_return_val_if_fail (sel_is_base_selector (self), NULL);
  g_return_val_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable), NULL);
  g_return_val_if_fail (error == NULL || *error == NULL, NULL);

  if (!sel_base_selector_collect_list (self, timeout, 0, cancellable, error))
    return NULL;

  return sel_base_selector_list_and_end_wait (self);
}

/**
 * sel_base_selector_select_ready: (skip)
 * @self: a selector
 * @timeout: seconds to wait at most; 0 or less does not wait, %SEL_WAIT_FOREVER has no end
 * @events: (out caller-allocates) (array length=n_events): where to store what is ready
 * @n_events: how many elements @events has, at least 1
 * @cancellable: (nullable): ends the wait when it is cancelled, or %NULL
 * @error: return location for an error, or %NULL
 *
 * Waits as sel_base_selector_select() does, but stores what is ready in an array of the caller's and
 * allocates nothing. If more is ready than @events can hold, the rest is reported by later calls;
 * all get their turn.
 *
 * The elements do not own anything: an element's data is valid as long as its descriptor is registered.
 *
 * Returns: how many elements were stored, or -1 on error
 *
 * Since: 1.0
 */
gssize
sel_base_selector_select_ready (SelBaseSelector  *self,
                                gdouble           timeout,
                                SelReadyEvent    *events,
                                gsize             n_events,
                                GCancellable     *cancellable,
                                GError          **error)
{
  g_return_val_if_fail (sel_is_base_selector (self), -1);
  g_return_val_if_fail (events != NULL && n_events > 0, -1);
  g_return_val_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable), -1);
  g_return_val_if_fail (error == NULL || *error == NULL, -1);

  return sel_base_selector_collect (self, timeout, events, n_events, 0, cancellable, error);
}

/**
 * sel_base_selector_select_fds:
 * @self: a selector
 * @timeout: seconds to wait at most; 0 or less does not wait, %SEL_WAIT_FOREVER has no end
 * @cancellable: (nullable): ends the wait when it is cancelled, or %NULL
 * @fds: (out) (array length=n_fds) (transfer full): return location for the descriptors that are ready
 * @n_fds: (out): return location for their number
 * @masks: (out) (array length=n_masks) (transfer full): return location for what they are ready for,
 *   as #SelEventMask
 * @n_masks: (out): return location for the number of masks, the same as @n_fds
 * @error: return location for an error, or %NULL
 *
 * Waits as sel_base_selector_select() does, and returns plain numbers, which cost a language binding
 * least. A signal always ends the wait early, with nothing ready, so that the language's own signal
 * handlers can run; see #SelBaseSelector:interruptible.
 *
 * Returns: %TRUE on success
 *
 * Since: 1.0
 */
gboolean
sel_base_selector_select_fds (SelBaseSelector  *self,
                              gdouble           timeout,
                              GCancellable     *cancellable,
                              int             **fds,
                              gsize            *n_fds,
                              guint8          **masks,
                              gsize            *n_masks,
                              GError          **error)
{
  const SelSink *sink;

  g_return_val_if_fail (sel_is_base_selector (self), FALSE);
  g_return_val_if_fail (fds != NULL && n_fds != NULL && masks != NULL && n_masks != NULL, FALSE);
  g_return_val_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable), FALSE);
  g_return_val_if_fail (error == NULL || *error == NULL, FALSE);

  *fds = NULL;
  *masks = NULL;
  *n_fds = *n_masks = 0;

  if (!sel_base_selector_collect_list (self, timeout, SEL_SINK_INTERRUPTIBLE, cancellable, error))
    return FALSE;

  sink = &PRIV (self)->sink;
  *fds = g_new (int, sink->n_events);
  *masks = g_new (guint8, sink->n_events);
  *n_fds = *n_masks = sink->n_events;
  for (gsize i = 0; i < sink->n_events; i++)
    {
      (*fds)[i] = sink->events[i].fd;
      (*masks)[i] = (guint8) sink->events[i].events;
    }
  sel_base_selector_end_wait (PRIV (self));

  return TRUE;
}

/**
 * sel_base_selector_report:
 * @self: a selector
 * @fd: a descriptor that is ready
 * @events: what it is ready for
 *
 * Reports a ready descriptor, for implementations of #SelBaseSelectorClass.wait(), which call this once or
 * more for each. What nobody asked for is dropped. Outside of a wait this does nothing.
 *
 * Since: 1.0
 */
void
sel_base_selector_report (SelBaseSelector *self,
                          int              fd,
                          SelEventMask     events)
{
  SelBaseSelectorPrivate *priv;

  g_return_if_fail (sel_is_base_selector (self));

  priv = PRIV (self);

  sel_base_selector_lock (priv);
  if (sel_sink_is_open (&priv->sink))
    sel_base_selector_report_untagged (self, fd, events);
  sel_base_selector_unlock (priv);
}

/**
 * sel_base_selector_wakeup:
 * @self: a selector
 *
 * Ends the wait that goes on, in another thread or asynchronously, or the next one, which then does not wait. Several
 * calls before that count as one. The callbacks of a main loop are not called.
 *
 * This may be called from any thread, and from a signal handler.
 *
 * Since: 1.0
 */
void
sel_base_selector_wakeup (SelBaseSelector *self)
{
  SelBaseSelectorPrivate *priv;

  g_return_if_fail (sel_is_base_selector (self));

  priv = PRIV (self);

  sel_base_selector_add_state (priv, SEL_STATE_WOKEN);

  /* In a child process the descriptor is still the parent's. */
  if (!sel_base_selector_is_unnoticed_fork (priv) && !sel_base_selector_is (priv, SEL_STATE_FORKED))
    sel_wakeup_signal (priv->wakeup);
}

/**
 * sel_base_selector_reinit:
 * @self: a selector
 * @error: return location for an error, or %NULL
 *
 * Asks the kernel for everything anew. A child process must call this before it can use a
 * selector of its parent. Descriptors that are closed in the child keep their keys.
 *
 * Fails with %SEL_SELECTOR_ERROR_CLOSED, %SEL_SELECTOR_ERROR_BUSY if another thread waits, or a
 * %SEL_OS_ERROR if the kernel refuses; it may then be called again.
 *
 * Returns: %TRUE on success
 *
 * Since: 1.0
 */
gboolean
sel_base_selector_reinit (SelBaseSelector  *self,
                          GError          **error)
{
  SelBaseSelectorPrivate *priv;
  gboolean success = FALSE;

  g_return_val_if_fail (sel_is_base_selector (self), FALSE);
  g_return_val_if_fail (error == NULL || *error == NULL, FALSE);

  priv = PRIV (self);

  sel_base_selector_lock (priv);
  sel_base_selector_add_state (priv, SEL_STATE_OPENING); /* from now on nobody begins to wait */
  if (sel_base_selector_is (priv, SEL_STATE_CLOSED))
    {
      sel_base_selector_fail_closed (error);
    }
  else if (sel_base_selector_is (priv, SEL_STATE_IN_WAIT))
    {
      g_set_error_literal (error, SEL_SELECTOR_ERROR, SEL_SELECTOR_ERROR_BUSY,
                           "A thread waits on the selector");
    }
  else
    {
      sel_base_selector_release (self);
      g_clear_error (&priv->open_error);
      success = sel_base_selector_open (self, error);
    }
  sel_base_selector_remove_state (priv, SEL_STATE_OPENING);
  sel_base_selector_unlock (priv);

  return success;
}

static void
sel_observer_ref (gpointer data,
                  gpointer user_data)
{
  SelObserver *observer = data;

  observer->funcs->ref (observer);
}

static void
sel_observer_closed (gpointer data,
                     gpointer user_data)
{
  SelObserver *observer = data;

  observer->funcs->closed (observer);
}

/**
 * sel_base_selector_close:
 * @self: a selector
 *
 * Closes @self: forgets all keys and gives back what the kernel holds. Registered descriptors stay
 * open. A thread that waits gets %SEL_SELECTOR_ERROR_CLOSED, and so does every later call.
 *
 * May be called more than once. Dropping the last reference closes a selector as well.
 *
 * Since: 1.0
 */
void
sel_base_selector_close (SelBaseSelector *self)
{
  g_autoptr(GPtrArray) observers = NULL;
  g_autoptr(SelSelectorMapping) map = NULL;
  SelBaseSelectorPrivate *priv;
  SelObserver *observer;
  GPtrArray *callbacks;
  SelKeyTable table;

  g_return_if_fail (sel_is_base_selector (self));

  priv = PRIV (self);

  sel_base_selector_lock (priv);
  if (sel_base_selector_is (priv, SEL_STATE_CLOSED))
    {
      sel_base_selector_unlock (priv);
      return;
    }

  sel_base_selector_add_state (priv, SEL_STATE_CLOSED);
  for (SelDelivery *delivery = priv->deliveries; delivery != NULL; delivery = delivery->next)
    {
      SelKeySlot *slot = NULL;

      if (delivery->key != NULL)
        slot = sel_key_table_lookup (&priv->table, sel_selector_key_get_fd (delivery->key));
      if (slot != NULL)
        sel_deliveries_spare (delivery, sel_key_slot_get_rest (slot));
    }
  sel_key_table_move (&priv->table, &table);
  sel_base_selector_remove_state (priv, SEL_STATE_ALWAYS_READY);
  g_clear_pointer (&priv->always_ready, g_array_unref);
  map = g_steal_pointer (&priv->map);
  observer = sel_base_selector_ref_observer (priv);
  observers = g_steal_pointer (&priv->observers);
  if (observers != NULL)
    g_ptr_array_foreach (observers, sel_observer_ref, NULL);
  sel_base_selector_unlock (priv);

  callbacks = sel_key_table_steal_callbacks (&table);
  sel_base_selector_free_callbacks (observer, (GDestroyNotify) g_ptr_array_unref, callbacks);

  /* A main loop must let go of a descriptor before that is closed. */
  if (observers != NULL)
    g_ptr_array_foreach (observers, sel_observer_closed, NULL);

  sel_base_selector_lock (priv);
  if (sel_base_selector_is (priv, SEL_STATE_IN_WAIT))
    sel_wakeup_signal (priv->wakeup);
  else
    sel_base_selector_release (self);
  sel_base_selector_unlock (priv);

  sel_key_table_clear (&table);
}

/**
 * sel_base_selector_is_closed:
 * @self: a selector
 *
 * Tells whether sel_base_selector_close() was called.
 *
 * Returns: %TRUE if @self is closed
 *
 * Since: 1.0
 */
gboolean
sel_base_selector_is_closed (SelBaseSelector *self)
{
  g_return_val_if_fail (sel_is_base_selector (self), TRUE);

  return sel_base_selector_is (PRIV (self), SEL_STATE_CLOSED);
}
