-- Which files of `domain/tenants.TABLES` a tenant's schema has had; null in those made before this was written down.
ALTER TABLE context_tenant ADD COLUMN applied text[];
