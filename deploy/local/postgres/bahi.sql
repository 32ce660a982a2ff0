-- The role and the database of Bahi. The role is no superuser, as in production, so that a missing grant shows here;
-- it may create databases, for tests that want one of their own.

create role bahi login createdb;

create database bahi owner bahi;
