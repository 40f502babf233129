/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The user interface of kqueue on FreeBSD, for programs that use the simulator in sim-kqueue.c. Only the filters
 * READ, WRITE and USER exist.
 */

#pragma once

#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#define EVFILT_READ     (-1)
#define EVFILT_WRITE    (-2)
#define EVFILT_USER     (-11)

#define EV_ADD          0x0001
#define EV_DELETE       0x0002
#define EV_ENABLE       0x0004
#define EV_DISABLE      0x0008
#define EV_ONESHOT      0x0010
#define EV_CLEAR        0x0020
#define EV_RECEIPT      0x0040
#define EV_DISPATCH     0x0080
#define EV_ERROR        0x4000
#define EV_EOF          0x8000

#define NOTE_FFNOP      0x00000000u
#define NOTE_FFAND      0x40000000u
#define NOTE_FFOR       0x80000000u
#define NOTE_FFCOPY     0xc0000000u
#define NOTE_FFCTRLMASK 0xc0000000u
#define NOTE_FFLAGSMASK 0x00ffffffu
#define NOTE_TRIGGER    0x01000000u

struct kevent
{
  uintptr_t ident;
  short filter;
  unsigned short flags;
  unsigned int fflags;
  int64_t data;
  void *udata;
  uint64_t ext[4];
};

#define EV_SET(kevp_, a, b, c, d, e, f) do { \
    *(kevp_) = (struct kevent) { \
      .ident = (uintptr_t) (a), \
      .filter = (short) (b), \
      .flags = (unsigned short) (c), \
      .fflags = (unsigned int) (d), \
      .data = (int64_t) (e), \
      .udata = (f), \
    }; \
  } while (0)

#ifdef __cplusplus
extern "C" {
#endif

int kqueue  (void);
int kqueue1 (int flags);
int kevent  (int                    kq,
             const struct kevent   *changelist,
             int                    nchanges,
             struct kevent         *eventlist,
             int                    nevents,
             const struct timespec *timeout);

#ifdef __cplusplus
}
#endif
