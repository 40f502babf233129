/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "core/sel-delivery-private.h"

void
sel_deliveries_spare (SelDelivery *deliveries,
                      SelKeyRest  *removed)
{
  for (; deliveries != NULL; deliveries = deliveries->next)
    {
      if (removed->key != NULL && deliveries->key == removed->key)
        {
          deliveries->owns_key = TRUE;
          removed->key = NULL;
        }
      if (removed->callback != NULL && deliveries->callback == removed->callback)
        {
          deliveries->owns_callback = TRUE;
          removed->callback = NULL;
        }
    }
}

void
sel_deliveries_follow (SelDelivery *deliveries,
                       int          fd,
                       guint32      old_generation,
                       guint32      generation)
{
  for (; deliveries != NULL; deliveries = deliveries->next)
    {
      if (deliveries->key != NULL && *deliveries->generation == old_generation &&
          sel_selector_key_get_fd (deliveries->key) == fd)
        *deliveries->generation = generation;
    }
}

void
sel_deliveries_remove (SelDelivery **deliveries,
                       SelDelivery  *delivery)
{
  while (*deliveries != delivery)
    deliveries = &(*deliveries)->next;
  *deliveries = delivery->next;
}

void
sel_deliveries_bequeath (SelDelivery *deliveries,
                         SelDelivery *delivery)
{
  for (SelDelivery *other = deliveries; other != NULL; other = other->next)
    {
      if (other == delivery)
        continue;

      if (delivery->owns_key && other->key == delivery->key)
        {
          other->owns_key = TRUE;
          delivery->owns_key = FALSE;
        }
      if (delivery->owns_callback && other->callback == delivery->callback)
        {
          other->owns_callback = TRUE;
          delivery->owns_callback = FALSE;
        }
    }
}

void
sel_deliveries_retain_thread (SelDelivery **deliveries,
                              gpointer      thread)
{
  while (*deliveries != NULL)
    {
      if ((*deliveries)->thread == thread)
        deliveries = &(*deliveries)->next;
      else
        *deliveries = (*deliveries)->next;
    }
}

void
sel_delivery_clear (SelDelivery *delivery)
{
  if (delivery->owns_key)
    g_object_unref (delivery->key);
  if (delivery->owns_callback)
    sel_callback_free (delivery->callback);
}
